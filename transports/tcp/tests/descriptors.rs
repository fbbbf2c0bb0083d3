//! Descriptor exhaustion. At start the error names the limit; under load the server waits for a
//! free descriptor, without spinning.
//!
//! The limit belongs to the process, so each server has its own: this test's binary, run again.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod fixture;

use anyport_core::{Limits, Server, serve_with};
use anyport_tcp::Tcp;
use anyport_testkit::process::{Process, set_descriptor_limit};
use fixture::{GRACE, addr_of, connect, get, hello};
use rustix::process::{Resource, getrlimit};
use std::{
    io::Read,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

#[test]
fn start_without_descriptors_names_the_limit() {
    let Some(mut server) = Process::start("start_without_descriptors_names_the_limit", |out| {
        for per_core in [false, true] {
            start_with_ever_more_descriptors(per_core, out);
        }
    }) else {
        return;
    };
    let output: Vec<String> = server.lines().collect();
    let starts = output.iter().filter(|line| *line == "started").count();
    assert_eq!(starts, 2, "{output:#?}");
    let errors: Vec<_> = output.iter().filter(|line| *line != "started").collect();
    assert!(errors.len() >= 4, "{output:#?}");
    for error in errors {
        let (limit, error) = error.split_once(' ').unwrap();
        assert!(
            error.contains("no file descriptor left")
                && error.contains(&format!("may have {limit}; raise it")),
            "with a limit of {limit}: {error}"
        );
    }
}

/// Runs in the server's process: starts with fewer descriptors than are open already, then with
/// more and more, until the start succeeds.
fn start_with_ever_more_descriptors(per_core: bool, report: &mut dyn FnMut(&str)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for limit in 3.. {
        set_descriptor_limit(limit);
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
        // Enough for the next runtime, among others.
        set_descriptor_limit(
            getrlimit(Resource::Nofile)
                .maximum
                .map_or(1024, |most| most.min(1024)),
        );
        match started {
            Ok(()) => return report("started"),
            Err(error) => report(&format!("{limit} {error}")),
        }
    }
}

#[test]
fn descriptor_exhaustion_with_default_limits_does_not_spin() {
    let test = "descriptor_exhaustion_with_default_limits_does_not_spin";
    let server = || serve_with(Tcp::bind("127.0.0.1:0"), hello());
    // 80 % of 64 are connections.
    many_clients_few_descriptors(test, server, 48);
}

#[test]
fn descriptor_exhaustion_with_high_limits_does_not_spin() {
    let test = "descriptor_exhaustion_with_high_limits_does_not_spin";
    let limits = Limits::default().with_connections(1000);
    many_clients_few_descriptors(
        test,
        || serve_with(Tcp::bind("127.0.0.1:0"), hello()).limits(limits),
        64,
    );
}

#[test]
fn descriptor_exhaustion_of_workers_does_not_spin() {
    let test = "descriptor_exhaustion_of_workers_does_not_spin";
    let limits = Limits::default().with_connections(1000);
    let tcp = || Tcp::bind("127.0.0.1:0").per_core().with_workers(2);
    many_clients_few_descriptors(test, || serve_with(tcp(), hello()).limits(limits), 64);
}

/// 200 clients connect to a server whose limit is 64 descriptors. The server then has at least
/// `open` of them.
fn many_clients_few_descriptors(test: &str, server: impl FnOnce() -> Server, open: usize) {
    let Some(mut process) = Process::start(test, |report| {
        set_descriptor_limit(64);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let handle = server().start().unwrap();
            report(&addr_of(&handle).to_string());
            // The server runs until the test closes its stdin.
            let stdin =
                tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
            stdin.await.unwrap().unwrap();
            handle.shutdown(GRACE).await.unwrap();
            report("drained");
        });
    }) else {
        return;
    };
    let addr = process.lines().next().unwrap();
    assert_eq!(get(&addr).unwrap(), "Hello");
    let clients: Vec<TcpStream> = (0..200).map(|_| connect(&addr).unwrap()).collect();
    process.wait_for_descriptors(open);

    let measured = Instant::now();
    // This sleep does not wait for an event: it is the measured period.
    let effort = process.usage_during(|| thread::sleep(Duration::from_secs(1)));
    let measured = measured.elapsed().as_secs_f64();
    assert!(
        effort.switches as f64 <= 50.0 * measured && effort.ticks as f64 <= 10.0 * measured,
        "{effort:?} in {measured} s"
    );

    drop(clients);
    assert_eq!(get(&addr).unwrap(), "Hello");
    drop(process.child.stdin.take());
    assert_eq!(process.lines().next().unwrap(), "drained");
    assert!(process.child.wait().unwrap().success());
}
