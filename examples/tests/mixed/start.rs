//! A part that can't start takes the whole start down: the error says which one and why, and
//! nothing is left of the others.
//!
//! What's left is looked for in the whole process, so each test is in one of its own: this test's
//! binary, run once more.
use crate::{
    GRACE, PATIENCE,
    app::{Signals, app},
    fault::Fault,
    parts::{FAULTY, PARTS},
    site::Plan,
};
use anyport::{ErrorKind, Tcp};
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

/// Tells the binary that it's the process of one test.
const ROLE: &str = "ANYPORT_TEST_ALONE";

/// Runs `body` in a process of its own, on a single-threaded tokio.
fn alone(test: &str, body: impl AsyncFnOnce()) {
    if env::var_os(ROLE).is_some() {
        // If it hangs, the test reads how it ended, and fails.
        thread::spawn(|| {
            thread::sleep(4 * PATIENCE);
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

/// What this process has of servers.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    threads: Vec<String>,
    sockets: usize,
}

impl Left {
    fn now() -> Self {
        let threads = fs::read_dir("/proc/self/task").unwrap();
        // One that's gone by now has no name.
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

/// A failed start leaves as much as there was before. A thread that has nothing more to do is given
/// a moment to be gone; so are transports that were on this runtime already, which they need to
/// end.
async fn nothing_is_left(before: &Left, folder: &Path, what: &str) {
    let by = Instant::now() + PATIENCE;
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
            let plan = Plan::of_all();
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
                    let plan = Plan::of_all();
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

/// Whichever part is the first that there's no descriptor for.
#[test]
fn descriptors_that_do_not_suffice_take_the_start_down() {
    alone(
        "start::descriptors_that_do_not_suffice_take_the_start_down",
        async || {
            let most = getrlimit(Resource::Nofile).current.unwrap_or(1024);
            let before = Left::now();
            for free in 0.. {
                let plan = Plan::of_all();
                // Counted anew: glommio leaves some behind, each time.
                let limit = open_descriptors() + free;
                allow_descriptors(limit);
                let started = plan.server.start();
                allow_descriptors(most);
                let what = format!("with {free} descriptors");
                let Err(error) = started else {
                    assert!(listening() >= PARTS.len() - 1, "{} listen", listening());
                    let report = started.unwrap().shutdown(GRACE).await.unwrap();
                    assert_eq!(report.aborted, 0, "{report}");
                    // A listening socket for each worker, at least.
                    assert!(free > PARTS.len() as u64, "{what}, it started");
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

/// How many sockets of this process listen (proc_net(5): state 0A of TCP, flag 10000 of Unix
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

fn allow_descriptors(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(count);
    setrlimit(Resource::Nofile, limit).unwrap();
}
