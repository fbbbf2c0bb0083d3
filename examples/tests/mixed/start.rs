//! A transport that cannot start fails the whole start. The error names it and the cause, and
//! nothing of the other transports remains.
//!
//! The tests check the whole process, so that each runs in a process of its own: the binary of this
//! test, run once more.
use crate::{
    GRACE, TIMEOUT,
    app::{Signals, app},
    fault::Fault,
    server::TestServerBuilder,
    transports::{FAULTY, TRANSPORTS},
};
use anyport::{Tcp, error::ErrorKind};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Instant,
};
use tokio::{runtime::Builder, task::yield_now};

/// Set in the process of one test.
const ROLE: &str = "ANYPORT_TEST_ALONE";

/// Runs `body` in a process of its own, on a single-threaded tokio.
fn alone(test: &str, body: impl AsyncFnOnce()) {
    if env::var_os(ROLE).is_some() {
        // If the test hangs, this ends it, and the parent fails.
        thread::spawn(|| {
            thread::sleep(4 * TIMEOUT);
            std::process::exit(2)
        });
        let mut runtime = Builder::new_current_thread();
        return runtime.enable_all().build().unwrap().block_on(body());
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, "")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let complained = String::from_utf8_lossy(&child.stderr);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}\n{complained}"
    );
}

/// The resources that servers hold in this process.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    threads: Vec<String>,
    sockets: usize,
}

impl Left {
    fn now() -> Self {
        let threads = fs::read_dir("/proc/self/task").unwrap();
        // A thread that has just ended has no name.
        let names = threads
            .filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).ok());
        let files = fs::read_dir("/proc/self/fd").unwrap();
        let targets = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
        Self {
            threads: names.filter(|name| name.starts_with("anyport")).collect(),
            sockets: targets
                .filter(|target| target.to_string_lossy().starts_with("socket:"))
                .count(),
        }
    }
}

/// Asserts that a failed start leaves nothing behind. Threads may need a moment to end, and so may
/// transports on this runtime.
async fn nothing_is_left(before: &Left, folder: &Path, what: &str) {
    let by = Instant::now() + TIMEOUT;
    while Left::now() != *before {
        assert!(Instant::now() < by, "{what}: {:?}", Left::now());
        yield_now().await;
    }
    let mut files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let socket = files.find(|path| {
        path.extension()
            .is_some_and(|extension| extension == "sock")
    });
    assert_eq!(socket, None, "{what}");
}

#[test]
fn a_port_that_is_in_use_takes_the_start_down() {
    alone(
        "start::a_port_that_is_in_use_takes_the_start_down",
        async || {
            let taken = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = taken.local_addr().unwrap();
            let before = Left::now();
            let plan = TestServerBuilder::all();
            let app = app("late", Signals::new());
            let error = plan
                .server
                .and(Tcp::bind(addr).per_core(), app)
                .start()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Bind);
            let says = format!("cannot bind {addr}: address already in use");
            assert!(error.to_string().starts_with(&says), "{error}");
            nothing_is_left(&before, plan.folder.path(), "a port in use").await;
        },
    );
}

#[test]
fn a_worker_that_cannot_start_takes_the_start_down() {
    alone(
        "start::a_worker_that_cannot_start_takes_the_start_down",
        async || {
            let before = Left::now();
            for (name, add) in FAULTY {
                for (fault, kind, says) in [
                    (Fault::CannotListen, ErrorKind::Start, "a deliberate fault"),
                    (Fault::PanicsAtStart, ErrorKind::Worker, "deliberate"),
                ] {
                    let what = format!("{fault:?} over {name}");
                    let plan = TestServerBuilder::all();
                    let server = add(plan.server, fault, app("faulty", Signals::new()));
                    let error = server.start().unwrap_err();
                    let line = error.to_string();
                    assert_eq!(error.kind(), kind, "{what}: {line}");
                    assert!(
                        line.contains(" of 127.0.0.1:") && line.contains(says),
                        "{what}: {line}"
                    );
                    nothing_is_left(&before, plan.folder.path(), &what).await;
                }
            }
        },
    );
}

/// The descriptors run out at each of the transports in turn.
#[test]
fn descriptors_that_do_not_suffice_take_the_start_down() {
    alone(
        "start::descriptors_that_do_not_suffice_take_the_start_down",
        async || {
            let most = getrlimit(Resource::Nofile).current.unwrap_or(1024);
            let before = Left::now();
            for free in 0.. {
                let plan = TestServerBuilder::all();
                // Counted each time, because glommio leaks some.
                let limit = open_descriptors() + free;
                set_descriptor_limit(limit);
                let started = plan.server.start();
                set_descriptor_limit(most);
                let what = format!("with {free} descriptors");
                let Err(error) = started else {
                    assert!(
                        listening() >= TRANSPORTS.len() - 1,
                        "{} listen",
                        listening()
                    );
                    let report = started.unwrap().shutdown(GRACE).await.unwrap();
                    assert_eq!(report.aborted, 0, "{report}");
                    // Each worker needs at least a listening socket.
                    assert!(free > TRANSPORTS.len() as u64, "{what}, it started");
                    return;
                };
                let says =
                    format!("no file descriptor left (this process may have {limit}; raise it");
                assert!(error.to_string().contains(&says), "{what}: {error}");
                assert_eq!(listening(), 0, "{what}, at once");
                nothing_is_left(&before, plan.folder.path(), &what).await;
            }
        },
    );
}

/// Number of listening sockets of this process (proc_net(5): state 0A of TCP, flag 10000 of Unix
/// sockets).
fn listening() -> usize {
    let own: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|file| fs::read_link(file.unwrap().path()).ok())
        .filter_map(|target| {
            Some(
                target
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    let column = |file: &str, state: usize, listens: &str, inode: usize| {
        let all = fs::read_to_string(file).unwrap_or_default();
        let rows = all
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found = rows.filter(|row| row.get(state) == Some(&listens));
        found
            .filter(|row| own.iter().any(|own| row.get(inode) == Some(&own.as_str())))
            .count()
    };
    column("/proc/self/net/tcp", 3, "0A", 9) + column("/proc/self/net/unix", 3, "00010000", 6)
}

fn open_descriptors() -> u64 {
    fs::read_dir("/proc/self/fd").unwrap().count() as u64
}

fn set_descriptor_limit(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(count);
    setrlimit(Resource::Nofile, limit).unwrap();
}
