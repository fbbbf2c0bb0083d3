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

use anyport_core::{Limits, Runtime, Server, serve_with};
use anyport_glommio::{Glommio, GlommioPerCore};
use anyport_testkit::process::{Process, Resources, set_descriptor_limit};
use fixture::{GRACE, TIMEOUT, addr_of, descriptors, hello, wait_until};
use rustix::process::{Resource, getrlimit};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

fn start_without_descriptors_names_the_limit() {
    let test = "start_without_descriptors_names_the_limit";
    let Some(mut server) = Process::start(test, start_with_ever_more_descriptors) else {
        return;
    };
    let output: Vec<String> = server.lines().collect();
    let (started, errors) = output.split_last().unwrap();
    assert_eq!(started, "started", "{output:#?}");
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
fn start_with_ever_more_descriptors(report: &mut dyn FnMut(&str)) {
    let most = getrlimit(Resource::Nofile)
        .maximum
        .map_or(1024, |most| most.min(1024));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // glommio leaks an eventfd of each executor that has ended, so each attempt has fewer left. The
    // limit has to grow faster than that.
    for limit in (3..).step_by(4) {
        set_descriptor_limit(limit);
        let started = runtime.block_on(async {
            let glommio = Glommio::bind("127.0.0.1:0").with_workers(2);
            match serve_with(glommio, hello()).start() {
                Ok(handle) => handle.shutdown(GRACE).await.map(drop),
                Err(error) => Err(error),
            }
        });
        set_descriptor_limit(most);
        match started {
            Ok(()) => return report("started"),
            Err(error) => report(&format!("{limit} {error}")),
        }
    }
}

fn descriptor_exhaustion_with_default_limits_does_not_spin() {
    let test = "descriptor_exhaustion_with_default_limits_does_not_spin";
    // 80 % of 64 are connections.
    many_clients_few_descriptors(test, |server| server, 48);
}

/// Workers need a descriptor to wait for clients, and one for their timer.
fn descriptor_exhaustion_with_high_limits_does_not_spin() {
    let test = "descriptor_exhaustion_with_high_limits_does_not_spin";
    let limits = Limits::default().with_connections(1000);
    many_clients_few_descriptors(test, |server| server.limits(limits), 64);
}

/// An app whose response waits for the worker's timer.
fn server() -> Server {
    let app = tower::service_fn(|_: http::Request<anyport_core::Body>| async {
        let timer = GlommioPerCore::current().timer();
        timer.sleep(Duration::from_millis(1)).await;
        Ok::<_, std::io::Error>(http::Response::new(anyport_core::Body::from("Hello")))
    });
    serve_with(Glommio::bind("127.0.0.1:0").with_workers(2), app)
}

/// 200 clients connect to a server whose limit is 64 descriptors. The server then has at least
/// `open` of them.
fn many_clients_few_descriptors(test: &str, configure: impl FnOnce(Server) -> Server, open: usize) {
    let Some(mut process) = Process::start(test, |report| {
        set_descriptor_limit(64);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let handle = configure(server()).start().unwrap();
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
    assert_eq!(get_body(&connect(&addr)), "Hello");
    let first = connect(&addr);
    assert_eq!(get_body(&first), "Hello");
    let clients: Vec<TcpStream> = (0..200).map(|_| connect(&addr)).collect();
    process.wait_for_descriptors(open);
    // An accepted client gets its response.
    assert_eq!(get_body(&first), "Hello");

    let measured = Instant::now();
    // This sleep does not wait for an event: it is the measured period.
    let effort = process.usage_during(|| thread::sleep(Duration::from_secs(1)));
    let measured = measured.elapsed().as_secs_f64();
    assert!(
        effort.switches as f64 <= 50.0 * measured && effort.ticks as f64 <= 10.0 * measured,
        "{effort:?} in {measured} s"
    );

    drop((first, clients));
    assert_eq!(get_body(&connect(&addr)), "Hello");
    drop(process.child.stdin.take());
    assert_eq!(process.lines().next().unwrap(), "drained");
    assert!(process.child.wait().unwrap().success());
}

/// A worker whose timer had no descriptor gets one later.
fn timers_recover_after_descriptor_exhaustion() {
    let test = "timers_recover_after_descriptor_exhaustion";
    let Some(process) = Process::start(test, |report| {
        // On a multi-threaded runtime, the server starts no tokio of its own, which would need
        // descriptors.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _around = runtime.enter();
        let before = epoll_descriptors();
        let handle = server().start().unwrap();
        // Each of two workers has one for accept readiness, and a duplicate of it that waits.
        wait_until("both workers wait for clients", || {
            epoll_descriptors() == before + 4
        });
        set_descriptor_limit(100);
        let mut all = Vec::new();
        while let Ok(descriptor) = File::open("/dev/null") {
            all.push(descriptor);
        }
        // This frees a descriptor for the client. The server already waits for clients.
        all.pop();
        let client = connect(&addr_of(&handle).to_string());
        assert_eq!(get_body(&client), "Hello");
        set_descriptor_limit(200);
        assert_eq!(get_body(&client), "Hello");
        report("timers work");
        runtime.block_on(handle.shutdown(GRACE)).unwrap();
    }) else {
        return;
    };
    assert_eq!(process.finish(), ["timers work"]);
}

/// How many descriptors of epoll instances this process has.
fn epoll_descriptors() -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap();
    // A descriptor that has been closed since has no link.
    let targets = all.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().contains("eventpoll"))
        .count()
}

/// README.md, "Limits", cites what this prints with `--nocapture`.
fn finished_executor_leaks_at_most_one_descriptor() {
    const TIMES: usize = 20;
    let test = "finished_executor_leaks_at_most_one_descriptor";
    let Some(process) = Process::start(test, |report| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let on = |addr, workers| serve_with(Glommio::bind(addr).with_workers(workers), hello());
        let run = || {
            let handle = on("127.0.0.1:0".parse().unwrap(), 1).start().unwrap();
            runtime.block_on(handle.shutdown(GRACE)).unwrap();
        };
        let executor = || {
            let made = glommio::LocalExecutorBuilder::default().make().unwrap();
            made.run(async {});
        };
        let idle = Resources::now();
        // A thread's descriptors are closed when it has ended. A start that failed does not wait
        // for that.
        let end = || {
            wait_until("all threads have ended", || {
                Resources::now().threads <= idle.threads
            })
        };
        // The first run creates what exists once per process.
        run();
        end();
        let leaked = |what: &str, f: &dyn Fn()| {
            let before = descriptors();
            (0..TIMES).for_each(|_| f());
            end();
            format!("{what} {}", descriptors() - before)
        };
        report(&leaked("address", &|| {
            let addr: SocketAddr = taken.local_addr().unwrap();
            on(addr, 2).start().unwrap_err();
        }));
        report(&leaked("few", &|| {
            // The threads of the last start have ended, and their descriptors do not count.
            end();
            // Enough for the sockets, and sometimes for the first worker's executor, but not for
            // both executors.
            set_descriptor_limit(descriptors() as u64 + 8);
            on("127.0.0.1:0".parse().unwrap(), 2).start().unwrap_err();
            set_descriptor_limit(1000);
        }));
        report(&leaked("glommio", &executor));
        report(&leaked("server", &run));
    }) else {
        return;
    };
    let output = process.finish();
    println!("of {TIMES} each: {output:?}");
    let leaked = |what: &str| {
        let leaked = output.iter().find_map(|line| line.strip_prefix(what));
        leaked.unwrap().trim().parse::<usize>().unwrap()
    };
    assert_eq!(leaked("address"), 0, "{output:?}");
    // How many executors were created and run before the error varies.
    assert!(leaked("few") <= TIMES, "{output:?}");
    assert!(
        leaked("glommio") <= TIMES && leaked("server") <= leaked("glommio"),
        "{output:?}"
    );
}

fn connect(addr: &str) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr.parse().unwrap(), TIMEOUT).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

fn get_body(mut stream: &TcpStream) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    while !response.ends_with("Hello") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        response.push(byte[0].into());
    }
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    response.split_off(response.len() - 5)
}

anyport_testkit::tests_unless!(fixture::unavailable(); blocking start_without_descriptors_names_the_limit, blocking descriptor_exhaustion_with_default_limits_does_not_spin, blocking descriptor_exhaustion_with_high_limits_does_not_spin, blocking timers_recover_after_descriptor_exhaustion, blocking finished_executor_leaks_at_most_one_descriptor);
