//! The examples that have one thing to show.
use crate::{
    add,
    running::{PATIENCE, Running, ask, binary, one_line_of_error, try_it},
};
use anyport_testkit::requirements::{Tests, needs_program};
use rustix::process::Signal;
use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
};

pub(crate) fn tests(tests: Tests) -> Tests {
    let tests = add!(
        tests,
        others,
        axum_app_serves_over_each_transport_and_ends_what_would_go_on_for_ever,
        per_worker_counts_on_each_worker_and_in_all,
        thread_per_core_counts_on_each_worker_or_names_the_feature_that_it_takes,
        mixed_serves_the_public_and_the_admin_and_drains_both_at_once,
        raw_echo_sends_back_what_it_gets,
        custom_transport_serves_over_its_socket_and_removes_the_file_it_made,
        unix_tells_its_clients_who_they_are,
    );
    add!(tests, others unless needs_program("curl"), what_mixed_says_should_be_tried_works)
}

fn axum_app_serves_over_each_transport_and_ends_what_would_go_on_for_ever() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-axum-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
    for (transport, listen) in [
        ("tcp", "127.0.0.1:0"),
        ("tcp-per-core", "127.0.0.1:0"),
        ("unix", path),
        ("unix-per-core", path),
    ] {
        let arguments = [
            "--transport",
            transport,
            "--listen",
            listen,
            "--assets",
            assets,
        ];
        let axum = Running::start("axum_app", &arguments);
        let ask = |request: &str| ask(axum.connect_anywhere(), request);
        let created =
            ask("POST /notes\nContent-Type: application/json\n\n{\"text\": \"buy milk\"}");
        assert!(
            created.starts_with("HTTP/1.1 201 "),
            "{transport}: {created}"
        );
        let note = ask("GET /notes/1");
        let body = "\r\n\r\n{\"id\":1,\"text\":\"buy milk\"}";
        assert!(note.ends_with(body), "{transport}: {note}");
        let page = ask("GET /");
        assert!(page.contains("<title>Notes</title>"), "{transport}: {page}");
        let who = ask("GET /whoami");
        assert_eq!(
            who.contains(" as user "),
            listen == path,
            "{transport}: {who}"
        );
        // The events go on until the drain; then they end, they aren't cut off.
        let mut stream = axum.connect_anywhere();
        write!(stream, "GET /notes/events HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let (mut events, mut byte) = (String::new(), [0]);
        while !events.contains("data: {\"id\":1") {
            stream.read_exact(&mut byte).unwrap();
            events.push(byte[0].into());
        }
        axum.signal(Signal::TERM);
        stream.read_to_string(&mut events).unwrap();
        assert!(events.ends_with("\r\n0\r\n\r\n"), "{transport}: {events}");
        let ended = axum.end();
        ended.assert_success();
        assert!(
            ended.stdout[0].contains(" 0 aborted"),
            "{transport}: {ended:?}"
        );
    }
}

fn per_worker_counts_on_each_worker_and_in_all() {
    const REQUESTS: u64 = 20;
    let per_worker = Running::start("per_worker", &["--listen", "127.0.0.1:0", "--workers", "2"]);
    let mut here = [0; 2];
    for all in 1..=REQUESTS {
        let response = per_worker.ask("GET /");
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

fn thread_per_core_counts_on_each_worker_or_names_the_feature_that_it_takes() {
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
            let error = one_line_of_error(Command::new(binary("thread_per_core")).args(arguments));
            assert!(
                error.contains(&format!("--features {transport}`")),
                "{error}"
            );
            continue;
        }
        let running = Running::start("thread_per_core", &arguments);
        let mut counted = [0; 2];
        for _ in 0..REQUESTS {
            let response = running.ask("GET /");
            let (_, body) = response.split_once("\r\n\r\n").unwrap();
            let worker = usize::from(body.ends_with(" of worker 1\n"));
            counted[worker] += 1;
            assert_eq!(
                body,
                format!("request {} of worker {worker}\n", counted[worker]),
                "{transport}"
            );
        }
        // Chosen by a hash: that one gets none of 40 is beyond all chance.
        assert!(!counted.contains(&0), "{transport}: {counted:?}");
        running.terminate().assert_success();
    }
}

/// `mixed` on a free port and at a path of the test's own, and what it says of its two parts.
fn start_mixed(test: &str) -> (Running, PathBuf, [String; 2]) {
    let path = std::env::temp_dir().join(format!("anyport-{test}-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--admin", name];
    let mut mixed = Running::spawn(Command::new(binary("mixed")).args(arguments)).unwrap();
    let line = || mixed.stdout.recv_timeout(PATIENCE).unwrap();
    let runtimes = line();
    match cfg!(all(feature = "monoio", target_os = "linux")) {
        true => assert_eq!(runtimes, "public: monoio, admin: tokio"),
        false => assert!(runtimes.contains("--features monoio`"), "{runtimes}"),
    }
    let said = [line(), line()];
    let place = said[0]
        .strip_prefix("listening on ")
        .and_then(|rest| rest.split(' ').next());
    mixed.place = place.unwrap().to_owned();
    assert!(
        said[1].starts_with(&format!("listening on unix:{name} ")),
        "{said:?}"
    );
    (mixed, path, said)
}

/// What the public gets, then the admin.
const ANSWERS: [&str; 2] = ["Hello, World!\n", "The public has been answered 1 times\n"];

fn what_mixed_says_should_be_tried_works() {
    let (mixed, _, said) = start_mixed("mixed-tried");
    for (line, expected) in said.iter().zip(ANSWERS) {
        let tried = line.split_once("(try: ").unwrap().1.trim_end_matches(')');
        assert_eq!(try_it(tried, &[]).unwrap(), expected);
    }
    mixed.terminate().assert_success();
}

fn mixed_serves_the_public_and_the_admin_and_drains_both_at_once() {
    let (mixed, path, _) = start_mixed("mixed");
    let public = mixed.ask("GET /");
    let admin = ask(UnixStream::connect(&path).unwrap(), "GET /");
    for (response, expected) in [public, admin].iter().zip(ANSWERS) {
        assert!(
            response.ends_with(&format!("\r\n\r\n{expected}")),
            "{response}"
        );
    }
    // One that's idle on each part when the drain begins.
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
    // Those that asked first may not have been seen to have left.
    let drained = |n| format!("drained: {n} completed, 0 aborted (0 of them upgraded)");
    assert!((2..=4).any(|n| ended.stdout == [drained(n)]), "{ended:?}");
    assert!(!path.exists());
}

fn raw_echo_sends_back_what_it_gets() {
    let echo = Running::start("raw_echo", &["--listen", "127.0.0.1:0"]);
    let mut stream = echo.connect();
    stream.write_all(b"some\0bytes").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"some\0bytes");
    echo.terminate().assert_success();
}

fn custom_transport_serves_over_its_socket_and_removes_the_file_it_made() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    let custom = Running::start("custom_transport", &[name]);
    assert_eq!(custom.place, format!("unix:{name}"));
    let response = ask(UnixStream::connect(&path).unwrap(), "GET /some/path");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains("/some/path"), "{response}");
    // A second server doesn't get the place, and leaves the first one's file alone.
    let error = one_line_of_error(Command::new(binary("custom_transport")).arg(name));
    assert!(
        error.contains(&format!("unix:{name}: address already in use")),
        "{error}"
    );
    assert!(path.exists());
    custom.terminate().assert_success();
    assert!(!path.exists());
}

fn unix_tells_its_clients_who_they_are() {
    let path = std::env::temp_dir().join(format!("anyport-smoke-unix-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    let unix = Running::start("unix", &[name, "--mode", "600"]);
    assert_eq!(unix.place, format!("unix:{name}"));
    let response = ask(UnixStream::connect(&path).unwrap(), "GET /");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    let me = format!("\r\n\r\nYou are process {}, user ", std::process::id());
    assert!(response.contains(&me), "{response}");
    unix.terminate().assert_success();
    assert!(!path.exists());
}
