//! Descriptors used up: at start that's an error that names the limit; under load the server waits
//! for some, without spinning.
//!
//! The limit is the process's, so each server is in one of its own: this test's binary, run once
//! more.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;

use anyport_core::{Limits, Server, serve_with};
use anyport_tcp::Tcp;
use anyport_testkit::process::{Process, allow_descriptors};
use rustix::process::{Resource, getrlimit};
use scene::{GRACE, addr_of, connect, get, hello};
use std::{
    io::Read,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

#[test]
fn at_start_the_error_names_the_limit() {
    let Some(mut server) = Process::start("at_start_the_error_names_the_limit", |out| {
        for per_core in [false, true] {
            start_with_ever_more_descriptors(per_core, out);
        }
    }) else {
        return;
    };
    let said: Vec<String> = server.said().collect();
    let starts = said.iter().filter(|line| *line == "started").count();
    assert_eq!(starts, 2, "{said:#?}");
    let errors: Vec<_> = said.iter().filter(|line| *line != "started").collect();
    assert!(errors.len() >= 4, "{said:#?}");
    for error in errors {
        let (limit, error) = error.split_once(' ').unwrap();
        assert!(
            error.contains("no file descriptor left")
                && error.contains(&format!("may have {limit}; raise it")),
            "with a limit of {limit}: {error}"
        );
    }
}

/// In the server's process: starts with fewer descriptors than are open already, then with more and
/// more, until it works.
fn start_with_ever_more_descriptors(per_core: bool, say: &mut dyn FnMut(&str)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for limit in 3.. {
        allow_descriptors(limit);
        let started = runtime.block_on(async {
            let tcp = Tcp::bind("127.0.0.1:0");
            let server = match per_core {
                true => serve_with(tcp.per_core().with_workers(2), hello()),
                false => serve_with(tcp, hello()),
            };
            match server.start() {
                Ok(handle) => handle.shutdown(GRACE).await.map(drop),
                Err(error) => Err(error),
            }
        });
        // Enough for what follows: the next runtime, for one.
        allow_descriptors(
            getrlimit(Resource::Nofile)
                .maximum
                .map_or(1024, |most| most.min(1024)),
        );
        match started {
            Ok(()) => return say("started"),
            Err(error) => say(&format!("{limit} {error}")),
        }
    }
}

#[test]
fn with_the_default_limits_a_server_of_few_descriptors_waits_quietly_and_serves_on() {
    let test = "with_the_default_limits_a_server_of_few_descriptors_waits_quietly_and_serves_on";
    let server = || serve_with(Tcp::bind("127.0.0.1:0"), hello());
    // 80 % of 64 are connections.
    crowded(test, server, 48);
}

#[test]
fn a_server_out_of_descriptors_waits_quietly_and_serves_on() {
    let test = "a_server_out_of_descriptors_waits_quietly_and_serves_on";
    let limits = Limits::default().with_connections(1000);
    crowded(
        test,
        || serve_with(Tcp::bind("127.0.0.1:0"), hello()).limits(limits),
        64,
    );
}

#[test]
fn workers_out_of_descriptors_wait_quietly_and_serve_on() {
    let test = "workers_out_of_descriptors_wait_quietly_and_serve_on";
    let limits = Limits::default().with_connections(1000);
    let tcp = || Tcp::bind("127.0.0.1:0").per_core().with_workers(2);
    crowded(test, || serve_with(tcp(), hello()).limits(limits), 64);
}

/// 200 clients connect to a server that may have 64 descriptors, of which it then has at least
/// `open`.
fn crowded(test: &str, server: impl FnOnce() -> Server, open: usize) {
    let Some(mut process) = Process::start(test, |say| {
        allow_descriptors(64);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let handle = server().start().unwrap();
            say(&addr_of(&handle).to_string());
            // Until the test closes it.
            let stdin =
                tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
            stdin.await.unwrap().unwrap();
            handle.shutdown(GRACE).await.unwrap();
            say("drained");
        });
    }) else {
        return;
    };
    let addr = process.said().next().unwrap();
    assert_eq!(get(&addr).unwrap(), "Hello");
    let clients: Vec<TcpStream> = (0..200).map(|_| connect(&addr).unwrap()).collect();
    process.wait_for_descriptors(open);

    let second = Instant::now();
    // Not to wait for anything: this is how long is measured.
    let effort = process.effort(|| thread::sleep(Duration::from_secs(1)));
    let second = second.elapsed().as_secs_f64();
    assert!(
        effort.switches as f64 <= 50.0 * second && effort.ticks as f64 <= 10.0 * second,
        "{effort:?} in {second} s"
    );

    drop(clients);
    assert_eq!(get(&addr).unwrap(), "Hello");
    drop(process.child.stdin.take());
    assert_eq!(process.said().next().unwrap(), "drained");
    assert!(process.child.wait().unwrap().success());
}
