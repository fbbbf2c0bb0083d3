//! `hello` under httpwg: HTTP/2 as RFC 9113 has it. `httpwg.txt` is the list of what passes, and of
//! what can't.
use crate::{
    add,
    running::{PATIENCE, Running},
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
};
use tempfile::tempdir;

const LIST: &str = include_str!("httpwg.txt");

/// How long it waits for a frame, in milliseconds. Where the list says that a frame fails to come,
/// it takes as long.
const WAIT: &str = "3000";

/// How long it waits where it found something else than the list says: on a machine that stands
/// still for seconds, a server answers late.
const LONG_WAIT: &str = "30000";

const MONOIO: bool = cfg!(all(feature = "monoio", target_os = "linux"));
const GLOMMIO: bool = cfg!(all(feature = "glommio", target_os = "linux"));

pub(crate) fn tests(tests: Tests) -> Tests {
    add!(
        tests, httpwg unless needs_program("httpwg"),
        http_2_is_as_the_list_says_over_each_transport,
    )
}

fn http_2_is_as_the_list_says_over_each_transport() {
    let transports = [
        ("tcp", true),
        ("tcp-per-core", true),
        ("monoio", MONOIO),
        ("glommio", GLOMMIO),
        ("unix", true),
    ];
    // It waits more than it computes.
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

/// What isn't as the list says over one transport.
fn check(transport: &str) -> String {
    let folder = tempdir().unwrap();
    let path = folder.path().join("hello.sock");
    let listen = match transport {
        "unix" => path.to_str().unwrap(),
        _ => "127.0.0.1:0",
    };
    let hello = Running::start("hello", &["--transport", transport, "--listen", listen]);
    let place = match hello.place.strip_prefix("unix:") {
        Some(path) => by_way_of_tcp(path),
        None => hello.place.clone(),
    };
    let wrong = match wrong(&found(&place, WAIT)) {
        quick if quick.is_empty() => quick,
        _ => wrong(&found(&place, LONG_WAIT)),
    };
    hello.terminate().assert_success();
    match wrong.is_empty() {
        true => wrong,
        false => format!("{transport}:\n{wrong}"),
    }
}

/// What it says of each of its tests: whether it passed.
fn found(place: &str, wait: &str) -> BTreeMap<String, bool> {
    let mut command = Command::new("httpwg");
    command.args([
        "--address",
        place,
        "--connect-timeout",
        wait,
        "--frame-timeout",
        wait,
    ]);
    let ended = Running::spawn(&mut command).unwrap().end();
    let said = ended.stdout.iter().chain(&ended.stderr);
    let outcomes = said.filter_map(|line| {
        let (_, outcome) = line.split_once("Test ")?;
        let passed = outcome.strip_prefix("passed: ").map(|name| (name, true));
        let (name, passed) = passed.or_else(|| Some((outcome.strip_prefix("failed: ")?, false)))?;
        // Behind the name, it may change the colour.
        let name = name.split('\u{1b}').next()?;
        Some((name.trim().to_owned(), passed))
    });
    outcomes.collect()
}

/// What isn't as the list says, a line each.
fn wrong(found: &BTreeMap<String, bool>) -> String {
    let mut listed = BTreeMap::new();
    for line in LIST.lines() {
        if let Some((kind @ ("pass" | "fail" | "varies"), name)) = line.split_once(' ') {
            listed.insert(name, kind);
        }
    }
    let mut wrong = String::new();
    for (name, passed) in found {
        let _ = match (listed.remove(&**name), passed) {
            (Some("varies"), _) | (Some("pass"), true) | (Some("fail"), false) => Ok(()),
            (Some("fail"), _) => writeln!(
                wrong,
                "passes now, and belongs among those that pass: {name}"
            ),
            (None, _) => writeln!(wrong, "isn't in the list: {name}"),
            _ => writeln!(wrong, "failed: {name}"),
        };
    }
    listed.retain(|_, kind| *kind != "varies");
    for name in listed.keys() {
        let _ = writeln!(wrong, "wasn't tried: {name}");
    }
    wrong
}

/// A place in TCP from which a Unix socket is reached, for as long as the test runs.
fn by_way_of_tcp(path: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let path = path.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = UnixStream::connect(&path) else {
                return;
            };
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || copy(client, to_server));
            thread::spawn(move || back(server, to_client));
        }
    });
    place
}

fn copy(mut from: TcpStream, mut to: UnixStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn back(mut from: UnixStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
