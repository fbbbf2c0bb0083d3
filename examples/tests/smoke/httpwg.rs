//! `any_transport` under httpwg: HTTP/2 according to RFC 9113. `httpwg.txt` lists the tests that
//! pass, and those that cannot.
use crate::{
    add,
    example::{Example, TIMEOUT},
};
use anyport_testkit::requirements::{Tests, needs_program};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::Command,
    thread,
    time::Duration,
};
use tempfile::tempdir;

const LIST: &str = include_str!("httpwg.txt");

/// How long httpwg waits for a frame, in milliseconds. A test that expects a missing frame takes
/// this long.
const WAIT: &str = "3000";

/// The wait of a second try after a mismatch. It runs one test alone: httpwg runs all tests in one
/// thread, and on a busy machine that thread reads a response too late.
const LONG_WAIT: &str = "30000";

/// Longer than all tests take that expect a missing frame.
const LIMIT: Duration = Duration::from_secs(1800);

const MONOIO: bool = cfg!(all(feature = "monoio", target_os = "linux"));
const GLOMMIO: bool = cfg!(all(feature = "glommio", target_os = "linux"));

pub(crate) fn tests(tests: Tests) -> Tests {
    add!(
        tests, httpwg unless needs_program("httpwg"),
        http_2_results_match_the_list_over_each_transport,
    )
}

fn http_2_results_match_the_list_over_each_transport() {
    let transports = [
        ("tcp", true),
        ("tcp-per-core", true),
        ("monoio", MONOIO),
        ("glommio", GLOMMIO),
        ("unix", true),
    ];
    // The transports run at once, because each test waits more than it computes.
    let wrong = thread::scope(|scope| {
        let on = transports.into_iter().filter(|(_, is_on)| *is_on);
        let checks: Vec<_> = on
            .map(|(transport, _)| scope.spawn(|| check(transport)))
            .collect();
        checks
            .into_iter()
            .map(|check| check.join().unwrap())
            .collect::<String>()
    });
    assert!(wrong.is_empty(), "{wrong}");
}

/// The mismatches over one transport.
fn check(transport: &str) -> String {
    let folder = tempdir().unwrap();
    let path = folder.path().join("hello.sock");
    let listen = match transport {
        "unix" => path.to_str().unwrap(),
        _ => "127.0.0.1:0",
    };
    let server = Example::start(
        "any_transport",
        &["--transport", transport, "--listen", listen],
    );
    let endpoint = match server.endpoint.strip_prefix("unix:") {
        Some(path) => tcp_forward_to(path),
        None => server.endpoint.clone(),
    };
    let mut found = found(&endpoint, WAIT, "RFC");
    for test in mismatches(&found).into_keys() {
        found.extend(self::found(&endpoint, LONG_WAIT, &test));
    }
    server.terminate().assert_success();
    let mut wrong = String::new();
    for (test, what) in mismatches(&found) {
        let _ = writeln!(wrong, "{transport}: {test}: {what}");
    }
    wrong
}

/// The result of each test of httpwg whose name contains `filter`: whether it passed.
fn found(endpoint: &str, wait: &str, filter: &str) -> BTreeMap<String, bool> {
    let mut command = Command::new("httpwg");
    command.args([
        "--address",
        endpoint,
        "--connect-timeout",
        wait,
        "--frame-timeout",
        wait,
        "--filter",
        filter,
    ]);
    // A backtrace for each failure that is in the list takes seconds.
    command.env("RUST_BACKTRACE", "0");
    let ended = Example::spawn(&mut command).unwrap().wait_for(LIMIT);
    let lines = ended.stdout.iter().chain(&ended.stderr);
    let outcomes = lines.filter_map(|line| {
        let (_, outcome) = line.split_once("Test ")?;
        let passed = outcome.strip_prefix("passed: ").map(|name| (name, true));
        let (name, passed) = passed.or_else(|| Some((outcome.strip_prefix("failed: ")?, false)))?;
        // An escape sequence may follow the name.
        let name = name.split('\u{1b}').next()?;
        Some((name.trim().to_owned(), passed))
    });
    outcomes.collect()
}

/// The tests whose result is not that of the list, and what is wrong.
fn mismatches(found: &BTreeMap<String, bool>) -> BTreeMap<String, &'static str> {
    let mut listed = BTreeMap::new();
    for line in LIST.lines() {
        if let Some((kind @ ("pass" | "fail" | "varies"), name)) = line.split_once(' ') {
            listed.insert(name, kind);
        }
    }
    let mut wrong = BTreeMap::new();
    for (name, passed) in found {
        let what = match (listed.remove(&**name), passed) {
            (Some("varies"), _) | (Some("pass"), true) | (Some("fail"), false) => continue,
            (Some("fail"), _) => "passes now; move it to the passing tests",
            (None, _) => "is not in the list",
            _ => "failed",
        };
        wrong.insert(name.clone(), what);
    }
    listed.retain(|_, kind| *kind != "varies");
    for name in listed.into_keys() {
        wrong.insert(name.to_owned(), "was not run");
    }
    wrong
}

/// A TCP address that forwards to a Unix socket while the test runs.
fn tcp_forward_to(path: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let path = path.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = UnixStream::connect(&path) else {
                return;
            };
            client.set_read_timeout(Some(TIMEOUT)).unwrap();
            let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || copy(client, to_server));
            thread::spawn(move || back(server, to_client));
        }
    });
    endpoint
}

fn copy(mut from: TcpStream, mut to: UnixStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn back(mut from: UnixStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
