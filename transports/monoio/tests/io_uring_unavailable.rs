//! io_uring is refused by a seccomp filter, as container runtimes do. The server then waits with
//! epoll and warns, or does not start if it must use io_uring.
//!
//! A filter stays for the life of a process, so each server has its own: this test's binary, run
//! again.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod fixture;

use anyport_core::{
    observe::{Event, Observer},
    per_worker, serve_with,
};
use anyport_monoio::{Driver, Monoio};
use anyport_testkit::process::{
    Process, enforce_locked_memory_limit, set_descriptor_limit, set_locked_memory_limit,
};
use fixture::{GRACE, get};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::{
    env,
    fs::File,
    os::fd::AsRawFd,
    process::Command,
    sync::{Arc, Mutex},
};

/// The number of the system call, which is the same on all architectures.
const IO_URING_SETUP: i64 = 425;
const IO_URING_REGISTER: i64 = 427;
/// errno(3), the same on all of these.
const EPERM: u32 = 1;
const EAGAIN: u32 = 11;
const ENOMEM: u32 = 12;
const EACCES: u32 = 13;
const EINVAL: u32 = 22;
const ENOSYS: u32 = 38;

/// Makes the kernel refuse `call` from now on. A later filter takes precedence over an earlier one.
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

/// What `body` reports in a process of its own, in which the kernel refuses io_uring. `None` in
/// that process.
fn output_without_io_uring(
    test: &str,
    body: impl FnOnce(&mut dyn FnMut(&str)),
) -> Option<Vec<String>> {
    let process = Process::start(test, |report| {
        refuse(IO_URING_SETUP, EPERM);
        body(report);
    });
    Some(process?.finish())
}

fn check(driver: Driver) -> String {
    driver
        .check()
        .map_or_else(|e| e.to_string(), |()| "available".into())
}

/// Asserts that each line contains all its expected parts.
fn assert_each_contains(output: &[String], each: &[&[&str]]) {
    assert_eq!(output.len(), each.len(), "{output:#?}");
    for (output, expected) in output.iter().zip(each) {
        for expected_part in *expected {
            assert!(
                output.contains(expected_part),
                "{output} lacks: {expected_part}"
            );
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

/// Starts a server with two workers, whose app responds with the worker's driver. Returns that
/// driver.
async fn serve_once(driver: Driver, observer: Warnings) -> anyport_core::Result<String> {
    let app = per_worker(|_: &anyport_core::runtime::Worker| {
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

/// Starts such a server, and reports its driver or its error, then its warnings.
fn report_start(driver: Driver, report: &mut dyn FnMut(&str)) {
    let warnings = Warnings::default();
    match block_on(serve_once(driver, warnings.clone())) {
        Ok(driver) => report(&format!("driver: {driver}")),
        Err(error) => report(&format!("error: {error}")),
    }
    for warning in warnings.0.lock().unwrap().iter() {
        report(&format!("warning: {warning}"));
    }
}

fn auto_driver_falls_back_to_epoll_and_warns_once() {
    let test = "auto_driver_falls_back_to_epoll_and_warns_once";
    let output = output_without_io_uring(test, |report| report_start(Driver::Auto, report));
    let Some(output) = output else { return };
    assert_eq!(output.len(), 2, "{output:#?}");
    assert_eq!(output[0], "driver: epoll");
    assert!(
        output[1].starts_with(
            "warning: io_uring is refused (Operation not permitted (os error 1)), so the workers wait with epoll"
        ),
        "{output:#?}"
    );
}

fn io_uring_driver_without_io_uring_fails_to_start() {
    let test = "io_uring_driver_without_io_uring_fails_to_start";
    let output = output_without_io_uring(test, |report| report_start(Driver::IoUring, report));
    let Some(output) = output else { return };
    assert!(is_refusal(&output), "{output:#?}");
}

fn is_refusal(output: &[String]) -> bool {
    output.len() == 1
        && output[0].starts_with("error: cannot start the runtime of worker")
        && output[0].contains("io_uring is refused")
}

/// The kernel charges rings to RLIMIT_MEMLOCK before 5.12 and since 6.14.
fn names_locked_memory(output: &str) -> bool {
    output.contains("this user's processes may lock 0 KiB of memory (RLIMIT_MEMLOCK)")
        && output.contains("`ulimit -l unlimited`")
        && output.contains("`LimitMEMLOCK=infinity`")
}

fn io_uring_driver_without_locked_memory_starts_or_names_the_limit() {
    let test = "io_uring_driver_without_locked_memory_starts_or_names_the_limit";
    let process = Process::start(test, |report| {
        set_locked_memory_limit(0);
        enforce_locked_memory_limit();
        report_start(Driver::IoUring, report);
    });
    let Some(process) = process else { return };
    let output = process.finish();
    let names_limit = is_refusal(&output) && names_locked_memory(&output[0]);
    assert!(output == ["driver: io_uring"] || names_limit, "{output:#?}");
}

fn auto_driver_without_locked_memory_always_starts() {
    let test = "auto_driver_without_locked_memory_always_starts";
    let process = Process::start(test, |report| {
        set_locked_memory_limit(0);
        enforce_locked_memory_limit();
        report_start(Driver::Auto, report);
    });
    let Some(process) = process else { return };
    let output = process.finish();
    let falls_back =
        output.len() == 2 && output[0] == "driver: epoll" && names_locked_memory(&output[1]);
    assert!(output == ["driver: io_uring"] || falls_back, "{output:#?}");
}

fn each_errno_of_io_uring_setup_has_its_own_advice() {
    let test = "each_errno_of_io_uring_setup_has_its_own_advice";
    let process = Process::start(test, |report| {
        set_locked_memory_limit(0);
        enforce_locked_memory_limit();
        for errno in [EPERM, EACCES, ENOSYS, EINVAL, ENOMEM, EAGAIN] {
            refuse(IO_URING_SETUP, errno);
            report(&check(Driver::IoUring));
        }
        report(&check(Driver::Auto));
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
        &["available"],
    ];
    assert_each_contains(&process.finish(), &each);
}

fn refused_io_uring_register_is_reported_as_such() {
    let test = "refused_io_uring_register_is_reported_as_such";
    let process = Process::start(test, |report| {
        for errno in [EPERM, ENOSYS] {
            refuse(IO_URING_REGISTER, errno);
            report(&check(Driver::IoUring));
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
    assert_each_contains(&process.finish(), &each);
}

/// Without a descriptor epoll is not available either.
fn descriptor_exhaustion_names_the_limit() {
    let test = "descriptor_exhaustion_names_the_limit";
    let process = Process::start(test, |report| {
        // The limit counts descriptor numbers, which may have gaps: this is the next free one.
        let next = File::open("/dev/null").unwrap().as_raw_fd() as u64;
        // The first descriptor that is created takes this one.
        for more in [0, 1] {
            set_descriptor_limit(next + more);
            for driver in [Driver::IoUring, Driver::Auto] {
                report(&check(driver));
            }
        }
    });
    let Some(process) = process else { return };
    let output = process.finish();
    let each: &[&str] = &[
        "cannot start monoio: no file descriptor left (this process may have ",
        "`ulimit -n`",
    ];
    assert_each_contains(&output, &[each; 4]);
}

fn forced_legacy_driver_is_named() {
    const FORCE_LEGACY: &str = "MONOIO_FORCE_LEGACY_DRIVER";
    if env::var_os(FORCE_LEGACY).is_some() {
        let output = check(Driver::IoUring);
        assert!(
            output.contains(&format!("({FORCE_LEGACY} is set): unset {FORCE_LEGACY}")),
            "{output}"
        );
        return;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    let command = child
        .args(["--exact", "forced_legacy_driver_is_named"])
        .env(FORCE_LEGACY, "1");
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

fn epoll_driver_does_not_warn() {
    let warnings = Warnings::default();
    assert_eq!(
        block_on(serve_once(Driver::Epoll, warnings.clone())).unwrap(),
        "epoll"
    );
    assert!(warnings.0.lock().unwrap().is_empty());
}

fn auto_driver_uses_io_uring_where_available() {
    let warnings = Warnings::default();
    let driver = block_on(serve_once(Driver::Auto, warnings.clone())).unwrap();
    match block_on(serve_once(Driver::IoUring, Warnings::default())) {
        Ok(_) => assert_eq!(driver, "io_uring"),
        Err(_) => assert_eq!(warnings.0.lock().unwrap().len(), 1),
    }
}

anyport_testkit::tests_unless!(
    fixture::unavailable();
    blocking auto_driver_falls_back_to_epoll_and_warns_once,
    blocking io_uring_driver_without_io_uring_fails_to_start,
    blocking io_uring_driver_without_locked_memory_starts_or_names_the_limit,
    blocking auto_driver_without_locked_memory_always_starts,
    blocking each_errno_of_io_uring_setup_has_its_own_advice,
    blocking refused_io_uring_register_is_reported_as_such,
    blocking descriptor_exhaustion_names_the_limit,
    blocking forced_legacy_driver_is_named,
    blocking epoll_driver_does_not_warn,
    blocking auto_driver_uses_io_uring_where_available,
);
