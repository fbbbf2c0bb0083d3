//! The examples with one test each.
use crate::{
    add,
    example::{Example, TIMEOUT, binary, exchange, one_line_error, run_curl},
};
use anyport_testkit::requirements::{Tests, needs_program};
use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

pub(crate) fn tests(tests: Tests) -> Tests {
    let tests = add!(
        tests,
        programs,
        each_example_answers_a_listed_question_in_few_lines,
        hello_is_the_program_of_the_readme,
        testing_ends_by_itself,
        axum_app_knows_its_clients_over_tcp_and_unix_sockets,
        per_worker_counts_per_worker_and_in_total,
        thread_per_core_counts_per_worker_or_names_its_feature,
        mixed_serves_both_apps_and_drains_them_together,
        raw_echo_echoes,
        latency_delays_connections_and_bytes,
        custom_transport_serves_and_removes_its_socket_file,
        unix_tells_each_client_its_process_and_user,
    );
    add!(tests, programs unless needs_program("curl"), mixed_prints_commands_that_work)
}

fn each_example_answers_a_listed_question_in_few_lines() {
    let list = include_str!("../../lib.rs");
    for file in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_none_or(|extension| extension != "rs") || name == "lib" {
            continue;
        }
        let program = fs::read_to_string(&path).unwrap();
        let question = program.strip_prefix("//! ").unwrap().split('?').next();
        let row = format!("| `{name}` | {}? |", question.unwrap());
        assert!(list.contains(&row), "examples/lib.rs lacks the row {row}");
        let lines = program.lines().count();
        // A whole proxy is more than the answer to a question.
        let most = if name == "reverse_proxy" { 120 } else { 100 };
        assert!(
            lines <= most,
            "{name} has {lines} lines, not {most} at most"
        );
    }
}

/// The README's program has a fixed port, so the test compares the source and does not run it.
fn hello_is_the_program_of_the_readme() {
    let readme = include_str!("../../../README.md");
    let (_, after) = readme.split_once("```rust").unwrap();
    let (_, program) = after.split_once('\n').unwrap();
    let (program, _) = program.split_once("```").unwrap();
    let hello = include_str!("../../hello.rs");
    let hello = hello.lines().filter(|line| !line.starts_with("//!"));
    let without_whitespace = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(
        without_whitespace(&hello.collect::<Vec<_>>().join("\n")),
        without_whitespace(program)
    );
}

fn testing_ends_by_itself() {
    let outcome = Example::spawn(&mut Command::new(binary("testing")))
        .unwrap()
        .wait();
    outcome.assert_success();
    assert_eq!(outcome.stdout[0], "/here  200 OK", "{outcome:?}");
}

fn axum_app_knows_its_clients_over_tcp_and_unix_sockets() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-axum-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    for (option, value) in [("--listen", "127.0.0.1:0"), ("--unix", path)] {
        let axum = Example::start("axum_app", &[option, value]);
        let exchange = |request: &str| exchange(axum.connect_anywhere(), request);
        let note = r#"{"text":"buy milk"}"#;
        let created = exchange(&format!(
            "POST /notes\nContent-Type: application/json\n\n{note}"
        ));
        assert!(created.starts_with("HTTP/1.1 201 "), "{option}: {created}");
        let notes = exchange("GET /notes");
        assert!(notes.ends_with(&format!("[{note}]")), "{option}: {notes}");
        let who = exchange("GET /");
        assert!(who.contains("You are "), "{option}: {who}");
        assert_eq!(who.contains(", user "), value == path, "{option}: {who}");
        let outcome = axum.terminate();
        outcome.assert_success();
        assert!(outcome.last_line().contains(" 0 aborted"), "{outcome:?}");
    }
}

fn per_worker_counts_per_worker_and_in_total() {
    const REQUESTS: u64 = 20;
    let per_worker = Example::start("per_worker", &["--listen", "127.0.0.1:0", "--workers", "2"]);
    let mut here = [0; 2];
    for all in 1..=REQUESTS {
        let response = per_worker.exchange("GET /");
        let body = response.rsplit("\r\n\r\n").next().unwrap();
        let numbers: Vec<u64> = body
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|n| n.parse().ok())
            .collect();
        let worker = usize::try_from(numbers[0]).unwrap();
        here[worker] += 1;
        assert_eq!(
            body,
            format!(
                "worker {worker}: {} requests here, {all} in all\n",
                here[worker]
            )
        );
    }
    per_worker.terminate().assert_success();
}

fn thread_per_core_counts_per_worker_or_names_its_feature() {
    const REQUESTS: usize = 40;
    for (transport, is_on) in [
        ("tcp-per-core", true),
        ("monoio", cfg!(all(feature = "monoio", target_os = "linux"))),
        (
            "glommio",
            cfg!(all(feature = "glommio", target_os = "linux")),
        ),
    ] {
        let arguments = [
            "--transport",
            transport,
            "--listen",
            "127.0.0.1:0",
            "--workers",
            "2",
        ];
        if !is_on {
            let error = one_line_error(Command::new(binary("thread_per_core")).args(arguments));
            assert!(
                error.contains(&format!("--features {transport}`")),
                "{error}"
            );
            continue;
        }
        let running = Example::start("thread_per_core", &arguments);
        let mut counted = [0; 2];
        for _ in 0..REQUESTS {
            let response = running.exchange("GET /");
            let (_, body) = response.split_once("\r\n\r\n").unwrap();
            let worker = usize::from(body.ends_with(" of worker 1\n"));
            counted[worker] += 1;
            assert_eq!(
                body,
                format!("request {} of worker {worker}\n", counted[worker]),
                "{transport}"
            );
        }
        // The kernel chooses a worker by a hash, so both workers get some of 40 connections.
        assert!(!counted.contains(&0), "{transport}: {counted:?}");
        running.terminate().assert_success();
    }
}

/// Starts `mixed` on a free port and at a path of this test. Returns the two commands that it
/// prints.
fn start_mixed(test: &str) -> (Example, PathBuf, [String; 2]) {
    let path = std::env::temp_dir().join(format!("anyport-{test}-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--admin", name];
    let mut mixed = Example::spawn(Command::new(binary("mixed")).args(arguments)).unwrap();
    let runtimes = mixed.stdout.recv_timeout(TIMEOUT).unwrap();
    match cfg!(all(feature = "monoio", target_os = "linux")) {
        true => assert_eq!(runtimes, "public: monoio, admin: tokio"),
        false => assert!(runtimes.contains("--features monoio`"), "{runtimes}"),
    }
    mixed.endpoint = mixed.line_after("listening on ");
    assert_eq!(mixed.line_after("listening on unix:"), name);
    let commands = [mixed.line_after("try: "), mixed.line_after("try: ")];
    (mixed, path, commands)
}

/// The public response, then the admin's.
const ANSWERS: [&str; 2] = ["Hello, World!\n", "Public requests: 1\n"];

fn mixed_prints_commands_that_work() {
    let (mixed, _, commands) = start_mixed("mixed-tried");
    for (command, expected) in commands.iter().zip(ANSWERS) {
        assert_eq!(run_curl(command, &[]).unwrap(), expected);
    }
    mixed.terminate().assert_success();
}

fn mixed_serves_both_apps_and_drains_them_together() {
    let (mixed, path, _) = start_mixed("mixed");
    let public = mixed.exchange("GET /");
    let admin = exchange(UnixStream::connect(&path).unwrap(), "GET /");
    for (response, expected) in [public, admin].iter().zip(ANSWERS) {
        assert!(
            response.ends_with(&format!("\r\n\r\n{expected}")),
            "{response}"
        );
    }
    // One idle connection on each transport when the drain begins.
    let mut idle = [
        mixed.connect_anywhere(),
        Box::new(UnixStream::connect(&path).unwrap()),
    ];
    for stream in &mut idle {
        write!(stream, "GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
    let ended = mixed.terminate();
    ended.assert_success();
    // The server may not have detected yet that the first clients disconnected.
    let drained = |n| format!("drained: {n} completed, 0 aborted; 0 were upgraded");
    let report = ended.last_line();
    assert!((2..=4).any(|n| report == drained(n)), "{ended:?}");
    assert!(!path.exists());
}

fn raw_echo_echoes() {
    let echo = Example::start("raw_echo", &["--listen", "127.0.0.1:0"]);
    let mut stream = echo.connect();
    stream.write_all(b"some\0bytes").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"some\0bytes");
    echo.terminate().assert_success();
}

fn latency_delays_connections_and_bytes() {
    let late = Example::start("latency", &["--listen", "127.0.0.1:0", "--delay-ms", "100"]);
    let begin = Instant::now();
    let response = late.exchange("GET /");
    assert!(response.ends_with("Hello from afar!\n"), "{response}");
    // That of the handshake, and that of the request.
    assert!(
        begin.elapsed() >= Duration::from_millis(200),
        "{:?}",
        begin.elapsed()
    );
    late.terminate().assert_success();
}

fn custom_transport_serves_and_removes_its_socket_file() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    let custom = Example::start("custom_transport", &[name]);
    assert_eq!(custom.endpoint, format!("unix:{name}"));
    let response = exchange(UnixStream::connect(&path).unwrap(), "GET /some/path");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains("over my own transport"), "{response}");
    // A second server fails to bind, and does not remove the file of the first.
    let error = one_line_error(Command::new(binary("custom_transport")).arg(name));
    assert!(
        error.contains(&format!("unix:{name}: address already in use")),
        "{error}"
    );
    assert!(path.exists());
    custom.terminate().assert_success();
    assert!(!path.exists());
}

fn unix_tells_each_client_its_process_and_user() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-unix-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    let unix = Example::start("unix", &[name, "--mode", "600"]);
    assert_eq!(unix.endpoint, format!("unix:{name}"));
    let response = exchange(UnixStream::connect(&path).unwrap(), "GET /");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    let me = format!("\r\n\r\nYou are process {}, user ", std::process::id());
    assert!(response.contains(&me), "{response}");
    unix.terminate().assert_success();
    assert!(!path.exists());
}
