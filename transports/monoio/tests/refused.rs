//! io_uring refused, as container runtimes do by a seccomp filter: the server waits with epoll, and
//! says so; or doesn't start, if it's to have io_uring.
//!
//! A filter is the process's for good, so each server is in one of its own: this test's binary, run
//! once more.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;

use anyport_core::{Event, Observer, per_worker, serve_with};
use anyport_monoio::{Driver, Monoio};
use anyport_testkit::process::{
    Process, allow_descriptors, allow_locked_memory, obey_locked_memory,
};
use scene::{GRACE, get};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::{
    env,
    fs::File,
    os::fd::AsRawFd,
    process::Command,
    sync::{Arc, Mutex},
};

/// The same on all architectures.
const IO_URING_SETUP: i64 = 425;
const IO_URING_REGISTER: i64 = 427;
/// errno(3), the same on all of them.
const EPERM: u32 = 1;
const EAGAIN: u32 = 11;
const ENOMEM: u32 = 12;
const EACCES: u32 = 13;
const EINVAL: u32 = 22;
const ENOSYS: u32 = 38;

/// From now on, the kernel refuses a call. What was said of it before counts no more.
fn refuse(call: i64, errno: u32) {
    let refuse = [(call, vec![])].into_iter().collect();
    let arch = env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(
        refuse,
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        arch,
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// What `body` says in a process of its own, in which the kernel refuses io_uring. None there.
fn without_io_uring(test: &str, body: impl FnOnce(&mut dyn FnMut(&str))) -> Option<Vec<String>> {
    let process = Process::start(test, |say| {
        refuse(IO_URING_SETUP, EPERM);
        body(say);
    });
    Some(process?.ends())
}

/// What a check says.
fn check(driver: Driver) -> String {
    driver
        .check()
        .map_or_else(|e| e.to_string(), |()| "it's to be had".into())
}

/// Whether what's said of each refusal holds all that it's to.
fn all_hold(said: &[String], each: &[&[&str]]) {
    assert_eq!(said.len(), each.len(), "{said:#?}");
    for (said, parts) in said.iter().zip(each) {
        for part in *parts {
            assert!(said.contains(part), "{said} lacks: {part}");
        }
    }
}

#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Observer for Warnings {
    fn on(&self, event: &Event<'_>) {
        if let Event::Warning { message, .. } = event {
            self.0.lock().unwrap().push((*message).to_owned());
        }
    }
}

/// A server of two workers whose app answers with what the worker waits with.
async fn serves(driver: Driver, observer: Warnings) -> anyport_core::Result<String> {
    let app = per_worker(|_: &anyport_core::Worker| {
        let driver = Driver::current().unwrap().to_string();
        tower::service_fn(move |_: http::Request<anyport_core::Body>| {
            std::future::ready(Ok::<_, std::io::Error>(http::Response::new(driver.clone())))
        })
    });
    let monoio = Monoio::bind("127.0.0.1:0")
        .with_driver(driver)
        .with_workers(2);
    let handle = serve_with(monoio, app).observer(observer).start()?;
    let driver = get(&handle, "/").unwrap();
    handle.shutdown(GRACE).await?;
    Ok(driver)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

/// Starts such a server, and says what it waits with, or why it doesn't start, and of what it
/// warned.
fn say_how_it_starts(driver: Driver, say: &mut dyn FnMut(&str)) {
    let warnings = Warnings::default();
    match block_on(serves(driver, warnings.clone())) {
        Ok(driver) => say(&format!("driver: {driver}")),
        Err(error) => say(&format!("error: {error}")),
    }
    for warning in warnings.0.lock().unwrap().iter() {
        say(&format!("warning: {warning}"));
    }
}

fn a_refused_server_waits_with_epoll_and_says_so_once() {
    let test = "a_refused_server_waits_with_epoll_and_says_so_once";
    let said = without_io_uring(test, |say| say_how_it_starts(Driver::Auto, say));
    let Some(said) = said else { return };
    assert_eq!(said.len(), 2, "{said:#?}");
    assert_eq!(said[0], "driver: epoll");
    assert!(
        said[1].starts_with(
            "warning: io_uring is refused (Operation not permitted (os error 1)), so the workers wait with epoll"
        ),
        "{said:#?}"
    );
}

fn a_refused_server_that_must_have_io_uring_does_not_start() {
    let test = "a_refused_server_that_must_have_io_uring_does_not_start";
    let said = without_io_uring(test, |say| say_how_it_starts(Driver::IoUring, say));
    let Some(said) = said else { return };
    assert!(is_refusal(&said), "{said:#?}");
}

fn is_refusal(said: &[String]) -> bool {
    said.len() == 1
        && said[0].starts_with("error: cannot start the runtime of worker")
        && said[0].contains("io_uring is refused")
}

/// A limit that a kernel charges rings to (before 5.12, and since 6.14), or doesn't.
fn is_locked_memory(said: &str) -> bool {
    said.contains("this user's processes may lock 0 KiB of memory (RLIMIT_MEMLOCK)")
        && said.contains("`ulimit -l unlimited`")
        && said.contains("`LimitMEMLOCK=infinity`")
}

fn without_the_right_to_lock_memory_it_serves_or_says_what_limits_it() {
    let test = "without_the_right_to_lock_memory_it_serves_or_says_what_limits_it";
    let process = Process::start(test, |say| {
        allow_locked_memory(0);
        obey_locked_memory();
        say_how_it_starts(Driver::IoUring, say);
    });
    let Some(process) = process else { return };
    let said = process.ends();
    let is_told = is_refusal(&said) && is_locked_memory(&said[0]);
    assert!(said == ["driver: io_uring"] || is_told, "{said:#?}");
}

fn without_the_right_to_lock_memory_there_is_always_something_to_wait_with() {
    let test = "without_the_right_to_lock_memory_there_is_always_something_to_wait_with";
    let process = Process::start(test, |say| {
        allow_locked_memory(0);
        obey_locked_memory();
        say_how_it_starts(Driver::Auto, say);
    });
    let Some(process) = process else { return };
    let said = process.ends();
    let falls_back = said.len() == 2 && said[0] == "driver: epoll" && is_locked_memory(&said[1]);
    assert!(said == ["driver: io_uring"] || falls_back, "{said:#?}");
}

fn each_refusal_of_a_ring_is_told_with_advice_of_its_own() {
    let test = "each_refusal_of_a_ring_is_told_with_advice_of_its_own";
    let process = Process::start(test, |say| {
        allow_locked_memory(0);
        obey_locked_memory();
        for errno in [EPERM, EACCES, ENOSYS, EINVAL, ENOMEM, EAGAIN] {
            refuse(IO_URING_SETUP, errno);
            say(&check(Driver::IoUring));
        }
        say(&check(Driver::Auto));
    });
    let Some(process) = process else { return };
    let refused = "cannot start monoio: io_uring is refused (";
    let each: [&[&str]; 7] = [
        &[
            refused,
            "Operation not permitted",
            "a seccomp filter forbids io_uring_setup",
            "or leave the choice to Driver::Auto",
        ],
        &[
            refused,
            "Permission denied",
            "a security module (SELinux, AppArmor)",
            "journalctl -k",
        ],
        &[
            refused,
            "has no io_uring (it needs Linux 5.6 with CONFIG_IO_URING)",
        ],
        &[
            refused,
            "Invalid argument",
            "is too old: it needs Linux 5.6",
        ],
        &[
            refused,
            "Cannot allocate memory",
            "may lock 0 KiB of memory (RLIMIT_MEMLOCK)",
            "take 256 KiB",
        ],
        &[
            refused,
            "temporarily unavailable",
            "it needs Linux 5.6, no seccomp filter",
        ],
        &["it's to be had"],
    ];
    all_hold(&process.ends(), &each);
}

fn a_refused_registration_is_told_from_a_refused_ring() {
    let test = "a_refused_registration_is_told_from_a_refused_ring";
    let process = Process::start(test, |say| {
        for errno in [EPERM, ENOSYS] {
            refuse(IO_URING_REGISTER, errno);
            say(&check(Driver::IoUring));
        }
    });
    let Some(process) = process else { return };
    let each: [&[&str]; 2] = [
        &[
            "io_uring is refused (Operation not permitted",
            "a seccomp filter forbids io_uring_register",
        ],
        &[
            "io_uring is refused (Function not implemented",
            "hides io_uring_register",
        ],
    ];
    all_hold(&process.ends(), &each);
}

/// With no descriptor left, epoll isn't to be had either.
fn who_has_no_descriptor_left_is_told_of_that_limit() {
    let test = "who_has_no_descriptor_left_is_told_of_that_limit";
    let process = Process::start(test, |say| {
        // The limit is one of their numbers, which may have gaps: the next one that's free.
        let next = File::open("/dev/null").unwrap().as_raw_fd() as u64;
        // One is taken by what's asked for first.
        for more in [0, 1] {
            allow_descriptors(next + more);
            for driver in [Driver::IoUring, Driver::Auto] {
                say(&check(driver));
            }
        }
    });
    let Some(process) = process else { return };
    let said = process.ends();
    let each: &[&str] = &[
        "cannot start monoio: no file descriptor left (this process may have ",
        "`ulimit -n`",
    ];
    all_hold(&said, &[each; 4]);
}

fn who_told_monoio_to_do_without_is_told_so() {
    const FORCED: &str = "MONOIO_FORCE_LEGACY_DRIVER";
    if env::var_os(FORCED).is_some() {
        let said = check(Driver::IoUring);
        assert!(
            said.contains(&format!("({FORCED} is set): unset {FORCED}")),
            "{said}"
        );
        return;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    let told = child
        .args(["--exact", "who_told_monoio_to_do_without_is_told_so"])
        .env(FORCED, "1");
    let output = told.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

fn a_server_that_is_to_wait_with_epoll_warns_of_nothing() {
    let warnings = Warnings::default();
    assert_eq!(
        block_on(serves(Driver::Epoll, warnings.clone())).unwrap(),
        "epoll"
    );
    assert!(warnings.0.lock().unwrap().is_empty());
}

fn where_io_uring_is_to_be_had_it_is_used() {
    let warnings = Warnings::default();
    let driver = block_on(serves(Driver::Auto, warnings.clone())).unwrap();
    match block_on(serves(Driver::IoUring, Warnings::default())) {
        Ok(_) => assert_eq!(driver, "io_uring"),
        Err(_) => assert_eq!(warnings.0.lock().unwrap().len(), 1),
    }
}

anyport_testkit::tests_unless!(
    scene::missing();
    blocking a_refused_server_waits_with_epoll_and_says_so_once,
    blocking a_refused_server_that_must_have_io_uring_does_not_start,
    blocking without_the_right_to_lock_memory_it_serves_or_says_what_limits_it,
    blocking without_the_right_to_lock_memory_there_is_always_something_to_wait_with,
    blocking each_refusal_of_a_ring_is_told_with_advice_of_its_own,
    blocking a_refused_registration_is_told_from_a_refused_ring,
    blocking who_has_no_descriptor_left_is_told_of_that_limit,
    blocking who_told_monoio_to_do_without_is_told_so,
    blocking a_server_that_is_to_wait_with_epoll_warns_of_nothing,
    blocking where_io_uring_is_to_be_had_it_is_used,
);
