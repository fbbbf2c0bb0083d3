//! Autobahn's test suite, the reference for implementations of WebSockets, over each transport: its
//! client against the echo of the example, and its server against an echo of `ws::ClientHandshake`.
//!
//! The suite is `wstest` of PyPI's `autobahntestsuite`, which needs Python 2.7. Where it is
//! missing, the tests are ignored with the reason. `passes.txt` lists the cases that pass; the list
//! may only grow.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod client;
#[path = "../../websocket.rs"]
#[expect(dead_code, reason = "the `main` of the program is not called")]
mod example;

use anyport::{
    Server, Tcp, serve_with, service_fn,
    tls::{TlsConfig, TlsExt},
};
use anyport_testkit::requirements::{Tests, block_on, needs_program};
use example::{Room, app};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};
use tokio::{process::Command, time::timeout};

const LOCAL: &str = "127.0.0.1:0";
const PASSES: &str = include_str!("passes.txt");
/// A client in Python takes half an hour for thousands of messages of 128 KiB.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// The name of a transport, the scheme of its URL, and a function that makes its server.
type Served = (&'static str, &'static str, fn() -> Server);

macro_rules! served {
    ($transport:expr) => {{
        let room = Room::new(256);
        serve_with(
            $transport,
            service_fn(move |request| app(request, room.clone())),
        )
    }};
}

fn main() -> ExitCode {
    let servers: &[Served] = &[
        ("tcp", "ws", || served!(Tcp::bind(LOCAL))),
        ("tls", "wss", || {
            served!(Tcp::bind(LOCAL).tls(TlsConfig::self_signed(["localhost"])))
        }),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        ("monoio", "ws", || served!(anyport::Monoio::bind(LOCAL))),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        ("glommio", "ws", || served!(anyport::Glommio::bind(LOCAL))),
    ];
    let mut tests = Tests::default();
    for (name, scheme, server) in servers {
        let name = format!("autobahn_over_{name}");
        tests = tests.unless(missing(), &name, move || block_on(passes(scheme, server())));
    }
    client::tests(tests).run()
}

fn missing() -> Option<String> {
    needs_program("wstest").map(|why| format!("{why} (PyPI's autobahntestsuite, on Python 2.7)"))
}

/// The cases that this build runs.
fn cases() -> Vec<&'static str> {
    let all = PASSES.split_whitespace();
    all.filter(|case| !cfg!(debug_assertions) || !is_slow(case))
        .collect()
}

/// Asserts that each case has passed, by the report in this folder.
fn check_report(folder: &Path, cases: Vec<&str>) {
    let index = fs::read_to_string(folder.join("index.json")).unwrap();
    let mut index: BTreeMap<String, BTreeMap<String, Case>> = serde_json::from_str(&index).unwrap();
    let results = index.remove("anyport").unwrap();
    let failed: Vec<&str> = cases
        .into_iter()
        .filter(|case| !results.get(*case).is_some_and(Case::passes))
        .collect();
    assert!(failed.is_empty(), "these cases do not pass: {failed:?}");
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    behavior: String,
    behavior_close: String,
}

impl Case {
    /// Some cases only report behaviour that the RFC leaves open.
    fn passes(&self) -> bool {
        let fine = ["OK", "NON-STRICT", "INFORMATIONAL"];
        fine.contains(&&*self.behavior) && fine.contains(&&*self.behavior_close)
    }
}

/// Large or compressed messages run only with `cargo test --release`.
fn is_slow(case: &str) -> bool {
    ["9.", "12.", "13."]
        .iter()
        .any(|group| case.starts_with(group))
}

async fn passes(scheme: &str, server: Server) {
    let handle = server.start().unwrap();
    let addr = &handle.endpoints()[0];
    let folder = tempfile::tempdir().unwrap();
    let (report, file) = (
        folder.path().join("report"),
        folder.path().join("spec.json"),
    );
    let cases = cases();
    let list = serde_json::to_string(&cases).unwrap();
    let specification = format!(
        r#"{{"options": {{"failByDrop": false}}, "outdir": {report:?}, "cases": {list}, "exclude-cases": [], "exclude-agent-cases": {{}},
        "servers": [{{"agent": "anyport", "url": "{scheme}://{addr}/echo"}}]}}"#
    );
    fs::write(&file, specification).unwrap();
    let mut wstest = Command::new("wstest");
    wstest
        .args(["--mode", "fuzzingclient", "--spec"])
        .arg(&file)
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let status = timeout(TIMEOUT, wstest.status()).await.unwrap().unwrap();
    assert!(status.success(), "wstest: {status}");
    check_report(&report, cases);
    handle.shutdown(Duration::from_secs(10)).await.unwrap();
}
