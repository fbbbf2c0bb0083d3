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

use anyport_core::{Limits, Runtime, Server, serve_with};
use anyport_glommio::{Glommio, GlommioPerCore};
use anyport_testkit::process::{Held, Process, allow_descriptors};
use rustix::process::{Resource, getrlimit};
use scene::{GRACE, PATIENCE, addr_of, descriptors, hello, until};
use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

fn at_start_the_error_names_the_limit() {
    let test = "at_start_the_error_names_the_limit";
    let Some(mut server) = Process::start(test, start_with_ever_more_descriptors) else {
        return;
    };
    let said: Vec<String> = server.said().collect();
    let (started, errors) = said.split_last().unwrap();
    assert_eq!(started, "started", "{said:#?}");
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
fn start_with_ever_more_descriptors(say: &mut dyn FnMut(&str)) {
    let most = getrlimit(Resource::Nofile)
        .maximum
        .map_or(1024, |most| most.min(1024));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // glommio keeps an eventfd of each executor that ended, so each try has fewer than the last:
    // the limit has to outgrow that.
    for limit in (3..).step_by(4) {
        allow_descriptors(limit);
        let started = runtime.block_on(async {
            let glommio = Glommio::bind("127.0.0.1:0").with_workers(2);
            match serve_with(glommio, hello()).start() {
                Ok(handle) => handle.shutdown(GRACE).await.map(drop),
                Err(error) => Err(error),
            }
        });
        allow_descriptors(most);
        match started {
            Ok(()) => return say("started"),
            Err(error) => say(&format!("{limit} {error}")),
        }
    }
}

fn with_the_default_limits_a_server_of_few_descriptors_waits_quietly_and_serves_on() {
    let test = "with_the_default_limits_a_server_of_few_descriptors_waits_quietly_and_serves_on";
    // 80 % of 64 are connections.
    crowded(test, |server| server, 48);
}

/// Workers need a descriptor to wait for clients, and one to be woken by the clock.
fn workers_out_of_descriptors_wait_quietly_and_serve_on() {
    let test = "workers_out_of_descriptors_wait_quietly_and_serve_on";
    let limits = Limits::default().with_connections(1000);
    crowded(test, |server| server.limits(limits), 64);
}

/// An app that takes a moment for its answer, by the worker's clock.
fn server() -> Server {
    let app = tower::service_fn(|_: http::Request<anyport_core::Body>| async {
        let timer = GlommioPerCore::current().timer();
        timer.sleep(Duration::from_millis(1)).await;
        Ok::<_, std::io::Error>(http::Response::new(anyport_core::Body::from("Hello")))
    });
    serve_with(Glommio::bind("127.0.0.1:0").with_workers(2), app)
}

/// 200 clients connect to a server that may have 64 descriptors, of which it then has at least
/// `open`.
fn crowded(test: &str, configure: impl FnOnce(Server) -> Server, open: usize) {
    let Some(mut process) = Process::start(test, |say| {
        allow_descriptors(64);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let handle = configure(server()).start().unwrap();
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
    assert_eq!(ask(&connect(&addr)), "Hello");
    let first = connect(&addr);
    assert_eq!(ask(&first), "Hello");
    let clients: Vec<TcpStream> = (0..200).map(|_| connect(&addr)).collect();
    process.wait_for_descriptors(open);
    // Who is in, is answered.
    assert_eq!(ask(&first), "Hello");

    let second = Instant::now();
    // Not to wait for anything: this is how long is measured.
    let effort = process.effort(|| thread::sleep(Duration::from_secs(1)));
    let second = second.elapsed().as_secs_f64();
    assert!(
        effort.switches as f64 <= 50.0 * second && effort.ticks as f64 <= 10.0 * second,
        "{effort:?} in {second} s"
    );

    drop((first, clients));
    assert_eq!(ask(&connect(&addr)), "Hello");
    drop(process.child.stdin.take());
    assert_eq!(process.said().next().unwrap(), "drained");
    assert!(process.child.wait().unwrap().success());
}

/// A worker whose clock had to do without a descriptor gets one later.
fn the_clock_goes_on_when_there_are_descriptors_again() {
    let test = "the_clock_goes_on_when_there_are_descriptors_again";
    let Some(process) = Process::start(test, |say| {
        // Multi-threaded, so that the server starts none, which would have descriptors of its own.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _around = runtime.enter();
        let before = epolls();
        let handle = server().start().unwrap();
        // Each of two workers has one to be told of clients, and a duplicate of it that waits.
        until("both wait for clients", || epolls() == before + 4);
        allow_descriptors(100);
        let mut all = Vec::new();
        while let Ok(descriptor) = File::open("/dev/null") {
            all.push(descriptor);
        }
        // For the client; its server has what it waited for clients by.
        all.pop();
        let client = connect(&addr_of(&handle).to_string());
        assert_eq!(ask(&client), "Hello");
        allow_descriptors(200);
        assert_eq!(ask(&client), "Hello");
        say("the clock goes on");
        runtime.block_on(handle.shutdown(GRACE)).unwrap();
    }) else {
        return;
    };
    assert_eq!(process.ends(), ["the clock goes on"]);
}

/// How many descriptors of epoll instances this process has.
fn epolls() -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap();
    // One that's closed meanwhile is none any more.
    let targets = all.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().contains("eventpoll"))
        .count()
}

/// README.md, "Limits", has what this prints with `--nocapture`.
fn an_executor_that_has_ended_keeps_one_descriptor_at_most() {
    const TIMES: usize = 20;
    let test = "an_executor_that_has_ended_keeps_one_descriptor_at_most";
    let Some(process) = Process::start(test, |say| {
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
        let idle = Held::now();
        // What a thread holds is closed when it has ended, and a start that failed doesn't wait for
        // that.
        let end = || {
            until("all threads have ended", || {
                Held::now().threads <= idle.threads
            })
        };
        // What there's one of, however many servers there are.
        run();
        end();
        let kept = |what: &str, f: &dyn Fn()| {
            let before = descriptors();
            (0..TIMES).for_each(|_| f());
            end();
            format!("{what} {}", descriptors() - before)
        };
        say(&kept("address", &|| {
            let addr: SocketAddr = taken.local_addr().unwrap();
            on(addr, 2).start().unwrap_err();
        }));
        say(&kept("few", &|| {
            // Enough for its sockets, and now and then for the first worker's executor, but not for
            // both.
            allow_descriptors(descriptors() as u64 + 8);
            on("127.0.0.1:0".parse().unwrap(), 2).start().unwrap_err();
            allow_descriptors(1000);
        }));
        say(&kept("glommio", &executor));
        say(&kept("server", &run));
    }) else {
        return;
    };
    let said = process.ends();
    println!("of {TIMES} each: {said:?}");
    let kept = |what: &str| {
        let kept = said.iter().find_map(|line| line.strip_prefix(what));
        kept.unwrap().trim().parse::<usize>().unwrap()
    };
    assert_eq!(kept("address"), 0, "{said:?}");
    // Which executors have been made and run by then, is a matter of luck.
    assert!(kept("few") <= TIMES, "{said:?}");
    assert!(
        kept("glommio") <= TIMES && kept("server") <= kept("glommio"),
        "{said:?}"
    );
}

fn connect(addr: &str) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr.parse().unwrap(), PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The body of the answer to one request.
fn ask(mut stream: &TcpStream) -> String {
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

anyport_testkit::tests_unless!(scene::missing(); blocking at_start_the_error_names_the_limit, blocking with_the_default_limits_a_server_of_few_descriptors_waits_quietly_and_serves_on, blocking workers_out_of_descriptors_wait_quietly_and_serve_on, blocking the_clock_goes_on_when_there_are_descriptors_again, blocking an_executor_that_has_ended_keeps_one_descriptor_at_most);
