//! `any_transport`: each transport, the drain, and error messages.
use crate::{
    add,
    example::{
        Example, Outcome, binary, exchange, get_and_keep_alive, one_line_error, run_curl,
        try_get_and_keep_alive,
    },
};
use anyport_testkit::requirements::{Tests, needs_program};
use rustix::process::Signal;
use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

pub(crate) fn tests(tests: Tests) -> Tests {
    let tests = add!(
        tests,
        any_transport,
        serves_over_each_transport_and_logs_its_drain,
        first_signal_drains_and_second_signal_ends_at_once,
        unix_socket_of_a_killed_server_is_replaced,
        error_names_the_port_in_use_and_a_command_that_finds_its_user,
        error_names_the_host_that_does_not_resolve,
        error_names_the_address_that_no_interface_has,
        zero_workers_are_an_error,
    );
    #[cfg(target_os = "linux")]
    let tests = add!(
        tests,
        any_transport,
        io_uring_transport_serves_or_names_its_feature,
    );
    let missing = match tls_on_io_uring().is_empty() {
        true => Some("needs `--features monoio,glommio`".to_owned()),
        false => needs_program("curl"),
    };
    add!(tests, any_transport unless missing, tls_on_io_uring_serves)
}

/// What the log of each transport says is the same.
fn serves_over_each_transport_and_logs_its_drain() {
    for (transport, is_on) in [
        ("tcp", true),
        ("tcp-per-core", true),
        ("monoio", cfg!(all(feature = "monoio", target_os = "linux"))),
        (
            "glommio",
            cfg!(all(feature = "glommio", target_os = "linux")),
        ),
    ] {
        if !is_on {
            continue;
        }
        let server = Example::start(
            "any_transport",
            &["--transport", transport, "--listen", "127.0.0.1:0"],
        );
        let response = server.exchange("GET /");
        assert!(
            response.starts_with("HTTP/1.1 200 OK\r\n"),
            "{transport}: {response}"
        );
        assert!(
            response.ends_with("\r\n\r\nHello, World!"),
            "{transport}: {response}"
        );
        // This connection is idle when the drain begins.
        let mut idle = server.connect();
        get_and_keep_alive(&mut idle);
        let ended = server.terminate();
        ended.assert_success();
        // The drain may find the first connection open, too. Its end may then be logged.
        let (Some((report, progress)), Some(begin)) =
            (ended.stdout.split_last(), ended.stdout.first())
        else {
            panic!("{transport}: no log");
        };
        let log = &ended.stdout;
        let hint = "left, 30s at most; another signal ends the server now";
        assert!(
            ["1 connection", "2 connections"]
                .iter()
                .any(|open| *begin == format!("draining: {open} {hint}")),
            "{transport}: {log:#?}"
        );
        assert!(
            progress.iter().all(|line| line.starts_with("draining: ")),
            "{transport}: {log:#?}"
        );
        assert!(
            ["1", "2"]
                .iter()
                .any(|n| *report == format!("drained: {n} completed, 0 aborted; 0 were upgraded")),
            "{transport}: {log:#?}"
        );
        assert_eq!(
            idle.read(&mut [0]).unwrap(),
            0,
            "{transport}: expected EOF, not a reset"
        );
    }
}

#[cfg(target_os = "linux")]
fn io_uring_transport_serves_or_names_its_feature() {
    for (feature, is_on, transports) in [
        ("monoio", cfg!(feature = "monoio"), ["monoio", "tls-monoio"]),
        (
            "glommio",
            cfg!(feature = "glommio"),
            ["glommio", "tls-glommio"],
        ),
    ] {
        for transport in transports {
            let arguments = ["--transport", transport, "--listen", "127.0.0.1:0"];
            if !is_on {
                let error = one_line_error(Command::new(binary("any_transport")).args(arguments));
                assert!(error.contains(&format!("--features {feature}")), "{error}");
                continue;
            }
            // curl tests the transports over TLS.
            if transport != feature {
                continue;
            }
            let server = Example::start("any_transport", &arguments);
            assert!(server.exchange("GET /").ends_with("\r\n\r\nHello, World!"));
            server.terminate().assert_success();
        }
    }
}

/// The transports over TLS on io_uring that are compiled in.
fn tls_on_io_uring() -> Vec<&'static str> {
    let all = [
        (
            "tls-monoio",
            cfg!(all(feature = "monoio", target_os = "linux")),
        ),
        (
            "tls-glommio",
            cfg!(all(feature = "glommio", target_os = "linux")),
        ),
    ];
    all.into_iter()
        .filter_map(|(name, is_on)| is_on.then_some(name))
        .collect()
}

fn tls_on_io_uring_serves() {
    for transport in tls_on_io_uring() {
        let server = Example::start(
            "any_transport",
            &["--transport", transport, "--listen", "127.0.0.1:0"],
        );
        // The certificate is for development.
        assert_eq!(run_curl(&server.curl, &[]).unwrap(), "Hello, World!");
        server.terminate().assert_success();
    }
}

/// An incomplete request delays the end of a drain for three seconds. On a busy machine, the second
/// signal may come after that. Then the drain is repeated.
fn first_signal_drains_and_second_signal_ends_at_once() {
    let mut last = None;
    for _ in 0..10 {
        if let Some(ended) = end_by_second_signal() {
            let drained = ended.stdout.iter().any(|line| line.contains("drained"));
            if (ended.code, drained) == (Some(128 + 2), false) {
                return;
            }
            last = Some(ended);
        }
    }
    panic!("no second signal ended the server: {last:?}");
}

/// `None`: the second signal came after a second.
fn end_by_second_signal() -> Option<Outcome> {
    let server = Example::start("any_transport", &["--listen", "127.0.0.1:0"]);
    // An incomplete request delays the end of the server.
    let mut unfinished = server.connect();
    write!(unfinished, "GET / HTTP/1.1\r\nHost:").unwrap();
    let mut busy = server.connect();
    // Both connections are accepted then.
    get_and_keep_alive(&mut busy);
    let begin = Instant::now();
    server.signal(Signal::INT);
    let log = server.line_after("draining: 2 connections left, 30s at most; ");
    assert_eq!(log, "press Ctrl-C again to end now");
    let is_late = || begin.elapsed() > Duration::from_secs(1);
    loop {
        match try_get_and_keep_alive(&mut busy) {
            Ok(response) if response.contains("connection: close") => break,
            // Idle connections are asked to leave for a second, and closed afterwards.
            _ if is_late() => return None,
            response => assert!(response.is_ok(), "{response:?}"),
        }
    }
    // A SIGTERM could count as the same request to shut down (`shutdown::signal`).
    server.signal(Signal::INT);
    (!is_late()).then(|| server.wait())
}

fn unix_socket_of_a_killed_server_is_replaced() {
    let path =
        std::env::temp_dir().join(format!("anyport-smoke-hello-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    for transport in ["unix", "unix-per-core"] {
        let arguments = ["--transport", transport, "--listen", name];
        Example::start("any_transport", &arguments).signal(Signal::KILL);
        // Waits until the kernel has closed the sockets of the killed process.
        while UnixStream::connect(&path).is_ok() {
            thread::yield_now();
        }
        let server = Example::start("any_transport", &arguments);
        let response = exchange(UnixStream::connect(&path).unwrap(), "GET /");
        assert!(
            response.ends_with("\r\n\r\nHello, World!"),
            "{transport}: {response}"
        );
        server.terminate().assert_success();
        assert!(!path.exists(), "{transport}");
    }
}

/// The error for these arguments, which is the same with each transport.
fn error_of(arguments: &[&str]) -> String {
    let errors = ["tcp", "tcp-per-core"].map(|transport| {
        one_line_error(
            Command::new(binary("any_transport"))
                .args(["--transport", transport])
                .args(arguments),
        )
    });
    assert_eq!(errors[0], errors[1]);
    errors[0].clone()
}

fn error_names_the_port_in_use_and_a_command_that_finds_its_user() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    assert_eq!(
        error_of(&["--listen", &addr.to_string()]),
        format!(
            "error: cannot bind {addr}: address already in use (find the listener: `ss -ltnp 'sport = :{}'`; \
             or bind port 0 for a free port)",
            addr.port()
        )
    );
}

fn error_names_the_host_that_does_not_resolve() {
    let error = error_of(&["--listen", "no-such-name.invalid:80"]);
    assert!(
        error.starts_with(
            "error: cannot bind no-such-name.invalid:80: cannot resolve `no-such-name.invalid`"
        ),
        "{error}"
    );
    assert!(error.contains("check the name"), "{error}");
}

fn error_names_the_address_that_no_interface_has() {
    // An address for documentation (RFC 5737).
    let error = error_of(&["--listen", "192.0.2.1:0"]);
    assert!(
        error.starts_with(
            "error: cannot bind 192.0.2.1:0: no interface of this machine has this address"
        ),
        "{error}"
    );
    assert!(error.contains("`ip address`"), "{error}");
}

fn zero_workers_are_an_error() {
    let error = error_of(&["--listen", "127.0.0.1:0", "--workers", "0"]);
    assert!(error.starts_with("error: zero workers"), "{error}");
}
