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
#[path = "../../reverse_proxy.rs"]
#[expect(dead_code, reason = "the `main` of the program is not called")]
mod reverse_proxy;

use anyport::{
    Server, Tcp, serve_with, service_fn,
    tls::{TlsConfig, TlsExt},
    ws::{self, Config, Deflate, WebSocket},
};
use anyport_testkit::requirements::{Tests, block_on, needs_program};
use example::{Room, app};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    convert::Infallible,
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
        let passes = move || block_on(passes(&all_cases(), scheme, server()));
        tests = tests.unless(missing(), &name, passes);
    }
    let name = "autobahn_with_a_server_that_keeps_contexts";
    tests = tests.unless(missing().or_else(needs_release), name, || {
        let server = server_that_keeps_contexts();
        block_on(passes(&compressed_cases(), "ws", server));
    });
    client::tests(tests).run()
}

fn missing() -> Option<String> {
    needs_program("wstest").map(|why| format!("{why} (PyPI's autobahntestsuite, on Python 2.7)"))
}

/// The reason why the cases with compression are ignored in this build.
fn needs_release() -> Option<String> {
    cfg!(debug_assertions).then(|| "needs `cargo test --release`".to_owned())
}

/// The cases that this build runs. Large or compressed messages run only with `cargo test
/// --release`.
fn all_cases() -> Vec<&'static str> {
    let all = PASSES.split_whitespace();
    all.filter(|case| !(cfg!(debug_assertions) && matches!(group(case), 9 | 12 | 13)))
        .collect()
}

/// The cases with compression.
fn compressed_cases() -> Vec<&'static str> {
    let all = PASSES.split_whitespace();
    all.filter(|case| matches!(group(case), 12 | 13)).collect()
}

fn group(case: &str) -> u8 {
    case.split('.').next().unwrap().parse().unwrap()
}

/// Compresses each message, also small ones, with the context of earlier ones.
fn keeps_contexts() -> Deflate {
    Deflate::default().with_context_takeover().with_threshold(0)
}

/// The largest messages of the cases have 16 MiB.
fn config(deflate: Deflate) -> Config {
    let config = Config::default().with_max_message(32 << 20);
    config.with_deflate(deflate)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        // If it fails, `recv` returns the reason.
        if message.is_data() {
            let _ = socket.feed(message).await;
        }
    }
}

fn server_that_keeps_contexts() -> Server {
    let config = config(keeps_contexts());
    let app = service_fn(move |mut request| {
        let response = ws::upgrade(&mut request, &config, echo);
        async { Ok::<_, Infallible>(response) }
    });
    serve_with(Tcp::bind(LOCAL), app)
}

/// Prints how many cases of each group behaved in which way, by the report in this folder. Asserts
/// that each case has passed.
fn check_report(folder: &Path, cases: &[&str]) {
    let index = fs::read_to_string(folder.join("index.json")).unwrap();
    let mut index: BTreeMap<String, BTreeMap<String, Case>> = serde_json::from_str(&index).unwrap();
    let results = index.remove("anyport").unwrap();
    let mut counts = BTreeMap::<(u8, &str), usize>::new();
    for (case, result) in &results {
        *counts.entry((group(case), &result.behavior)).or_default() += 1;
    }
    println!("{counts:?}");
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| match results.get(*case) {
            Some(result) if result.passes() => None,
            result => Some(format!("{case}: {result:?}")),
        })
        .collect();
    assert!(failed.is_empty(), "these cases do not pass: {failed:#?}");
}

#[derive(Debug, Deserialize)]
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

async fn passes(cases: &[&str], scheme: &str, server: Server) {
    let handle = server.start().unwrap();
    let addr = &handle.endpoints()[0];
    let folder = tempfile::tempdir().unwrap();
    let (report, file) = (
        folder.path().join("report"),
        folder.path().join("spec.json"),
    );
    let list = serde_json::to_string(cases).unwrap();
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
