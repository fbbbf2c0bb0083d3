//! `hello`: over each transport, its drain, and how it fails.
use crate::{
    add,
    running::{PATIENCE, Running, ask, ask_and_stay, binary, one_line_of_error, try_it},
};
use anyport_testkit::requirements::{Tests, needs_program};
use rustix::process::Signal;
use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    process::Command,
    thread,
    time::Instant,
};

pub(crate) fn tests(tests: Tests) -> Tests {
    let tests = add!(
        tests,
        hello,
        hello_serves_over_each_transport_and_reports_its_drain,
        hello_asks_itself_in_memory_where_nobody_else_can,
        hello_says_what_it_chose_by_itself,
        hello_drains_on_the_first_signal_and_ends_at_once_on_the_second,
        hello_serves_over_unix_sockets_and_replaces_what_a_killed_one_left,
        hello_names_the_port_that_is_in_use_and_how_to_find_who_uses_it,
        hello_names_the_host_that_does_not_resolve,
        hello_names_the_address_that_no_interface_has,
        hello_refuses_to_have_no_worker,
    );
    #[cfg(target_os = "linux")]
    let tests = add!(
        tests,
        hello,
        hello_serves_on_io_uring_or_names_the_feature_that_it_takes,
        hello_serves_on_tokio_where_io_uring_is_refused_and_says_why,
    );
    let missing = match tls_on_io_uring().is_empty() {
        true => Some("needs `--features monoio,glommio`".to_owned()),
        false => needs_program("curl"),
    };
    add!(tests, hello unless missing, hello_serves_over_tls_on_io_uring)
}

fn hello_serves_over_each_transport_and_reports_its_drain() {
    for transport in ["tcp", "tcp-per-core"] {
        let hello = Running::start(
            "hello",
            &["--transport", transport, "--listen", "127.0.0.1:0"],
        );
        let response = hello.ask("GET /");
        assert!(
            response.starts_with("HTTP/1.1 200 OK\r\n"),
            "{transport}: {response}"
        );
        assert!(
            response.ends_with("\r\n\r\nHello, World!"),
            "{transport}: {response}"
        );
        // This one is idle when the drain begins.
        let mut idle = hello.connect();
        ask_and_stay(&mut idle);
        let ended = hello.terminate();
        ended.assert_success();
        assert_eq!(
            ended.stdout,
            ["drained: 1 completed, 0 aborted (0 of them upgraded)"],
            "{transport}"
        );
        assert_eq!(
            idle.read(&mut [0]).unwrap(),
            0,
            "{transport}: it was closed, not reset"
        );
    }
}

fn hello_asks_itself_in_memory_where_nobody_else_can() {
    let hello = |arguments: &[&str]| {
        let mut command = Command::new(binary("hello"));
        command.args(["--transport", "memory"]).args(arguments);
        command
    };
    let ended = Running::spawn(&mut hello(&[])).unwrap().end();
    ended.assert_success();
    let (place, answer) = ended.stdout.split_first().unwrap();
    assert!(place.starts_with("listening on memory:"), "{ended:?}");
    assert_eq!(answer[0], "HTTP/1.1 200 OK", "{ended:?}");
    // Its own connection may have ended before the drain began.
    let reports = [0, 1]
        .map(|completed| format!("drained: {completed} completed, 0 aborted (0 of them upgraded)"));
    let ends_with =
        |report: &String| answer.ends_with(&["".into(), "Hello, World!".into(), report.clone()]);
    assert!(reports.iter().any(ends_with), "{ended:?}");
    let error = one_line_of_error(&mut hello(&["--listen", "127.0.0.1:0"]));
    assert_eq!(error, "error: memory has no address: leave out `--listen`");
}

#[cfg(target_os = "linux")]
fn hello_serves_on_io_uring_or_names_the_feature_that_it_takes() {
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
                let error = one_line_of_error(Command::new(binary("hello")).args(arguments));
                assert!(error.contains(&format!("--features {feature}")), "{error}");
                continue;
            }
            // Those over TLS are asked by curl.
            if transport != feature {
                continue;
            }
            let hello = Running::start("hello", &arguments);
            assert!(hello.ask("GET /").ends_with("\r\n\r\nHello, World!"));
            hello.terminate().assert_success();
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

fn hello_serves_over_tls_on_io_uring() {
    for transport in tls_on_io_uring() {
        let hello = Running::start(
            "hello",
            &["--transport", transport, "--listen", "127.0.0.1:0"],
        );
        // The certificate is for development.
        assert_eq!(try_it(&hello.tried, &[]).unwrap(), "Hello, World!");
        hello.terminate().assert_success();
    }
}

fn hello_says_what_it_chose_by_itself() {
    let chosen = what_it_chose_and_serves(start_auto());
    let expected = ["transport: monoio, since ", "transport: tcp-per-core ("];
    assert!(
        expected.iter().any(|start| chosen.starts_with(start)),
        "{chosen}"
    );
}

/// As container runtimes refuse it: by a filter, which is a thread's and of what it starts.
#[cfg(target_os = "linux")]
fn hello_serves_on_tokio_where_io_uring_is_refused_and_says_why() {
    let refused = thread::spawn(|| {
        refuse_io_uring();
        start_auto()
    });
    let chosen = what_it_chose_and_serves(refused.join().unwrap());
    let why = match cfg!(feature = "monoio") {
        true => "io_uring is refused (Operation not permitted (os error 1))",
        false => "monoio isn't compiled in",
    };
    let is_right = chosen.starts_with("transport: tcp-per-core (") && chosen.contains(why);
    assert!(is_right, "{chosen}");
}

#[cfg(target_os = "linux")]
fn refuse_io_uring() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    // `io_uring_setup`, the same on all architectures, and EPERM.
    let (setup, eperm) = (425, 1);
    let refuse = [(setup, vec![])].into_iter().collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(
        refuse,
        SeccompAction::Allow,
        SeccompAction::Errno(eperm),
        arch,
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

fn start_auto() -> Running {
    let mut hello = Command::new(binary("hello"));
    Running::spawn(hello.args(["--transport", "auto", "--listen", "127.0.0.1:0"])).unwrap()
}

/// What `auto` says of its choice, once it has answered.
fn what_it_chose_and_serves(mut hello: Running) -> String {
    let chosen = hello.stdout.recv_timeout(PATIENCE).unwrap();
    hello.listens();
    assert!(hello.ask("GET /").ends_with("\r\n\r\nHello, World!"));
    hello.terminate().assert_success();
    chosen
}

fn hello_drains_on_the_first_signal_and_ends_at_once_on_the_second() {
    let hello = Running::start("hello", &["--listen", "127.0.0.1:0"]);
    // A request that doesn't come to its end keeps the server from ending.
    let mut unfinished = hello.connect();
    write!(unfinished, "GET / HTTP/1.1\r\nHost:").unwrap();
    let mut busy = hello.connect();
    hello.signal(Signal::INT);
    let by = Instant::now() + PATIENCE;
    while !ask_and_stay(&mut busy).contains("connection: close") {
        assert!(Instant::now() < by, "it drains, but tells nobody");
    }
    // The other one would be taken for its twin (`shutdown::signal`).
    hello.signal(Signal::INT);
    let ended = hello.end();
    assert_eq!(
        (ended.code, ended.stdout.len()),
        (Some(128 + 2), 0),
        "{ended:?}"
    );
}

fn hello_serves_over_unix_sockets_and_replaces_what_a_killed_one_left() {
    let path =
        std::env::temp_dir().join(format!("anyport-smoke-hello-{}.sock", std::process::id()));
    let name = path.to_str().unwrap();
    for transport in ["unix", "unix-per-core"] {
        let arguments = ["--transport", transport, "--listen", name];
        Running::start("hello", &arguments).signal(Signal::KILL);
        // Until the kernel has closed what it had open.
        while UnixStream::connect(&path).is_ok() {
            thread::yield_now();
        }
        let hello = Running::start("hello", &arguments);
        let response = ask(UnixStream::connect(&path).unwrap(), "GET /");
        assert!(
            response.ends_with("\r\n\r\nHello, World!"),
            "{transport}: {response}"
        );
        hello.terminate().assert_success();
        assert!(!path.exists(), "{transport}");
    }
}

/// How `hello` fails at an address; the same with each transport.
fn hello_fails(arguments: &[&str]) -> String {
    let errors = ["tcp", "tcp-per-core"].map(|transport| {
        one_line_of_error(
            Command::new(binary("hello"))
                .args(["--transport", transport])
                .args(arguments),
        )
    });
    assert_eq!(errors[0], errors[1]);
    errors[0].clone()
}

fn hello_names_the_port_that_is_in_use_and_how_to_find_who_uses_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    assert_eq!(
        hello_fails(&["--listen", &addr.to_string()]),
        format!(
            "error: cannot bind {addr}: address already in use (see who listens there: `ss -ltnp 'sport = :{}'`; \
             or bind port 0 to be given a free one)",
            addr.port()
        )
    );
}

fn hello_names_the_host_that_does_not_resolve() {
    let error = hello_fails(&["--listen", "no-such-name.invalid:80"]);
    assert!(
        error.starts_with(
            "error: cannot bind no-such-name.invalid:80: cannot resolve `no-such-name.invalid`"
        ),
        "{error}"
    );
    assert!(error.contains("check the name"), "{error}");
}

fn hello_names_the_address_that_no_interface_has() {
    // An address for documentation (RFC 5737).
    let error = hello_fails(&["--listen", "192.0.2.1:0"]);
    assert!(
        error.starts_with(
            "error: cannot bind 192.0.2.1:0: no interface of this machine has this address"
        ),
        "{error}"
    );
    assert!(error.contains("`ip address`"), "{error}");
}

fn hello_refuses_to_have_no_worker() {
    let error = hello_fails(&["--listen", "127.0.0.1:0", "--workers", "0"]);
    assert!(error.starts_with("error: zero workers"), "{error}");
}
