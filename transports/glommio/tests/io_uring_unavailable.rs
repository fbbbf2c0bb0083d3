//! Requirements of glommio that this machine may not meet. The server then does not start, and its
//! error says what to do.
//!
//! A filter and a limit stay for the life of a process, so each server has its own: this test's
//! binary, run again.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod fixture;

use anyport_core::{
    error::{Blame, ErrorKind},
    serve_with,
};
use anyport_testkit::process::{Process, set_locked_memory_limit};
use fixture::{GRACE, get, hello, one_worker};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::env;

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
const MIB: u64 = 1024 * 1024;

/// Starts a server, and describes the result.
fn start() -> String {
    match serve_with(one_worker(), hello()).start() {
        Ok(handle) => format!("response: {}", get(&handle, "/").unwrap()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Start);
            assert_eq!(error.blame(), Blame::Environment);
            format!("error: {error}")
        }
    }
}

/// How a start went in a process of its own, after `prepare`. `None` in that process.
fn start_output_after(test: &str, prepare: impl FnOnce()) -> Option<String> {
    let process = Process::start(test, |report| {
        prepare();
        report(&start());
    });
    Some(process?.finish().join("\n"))
}

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

/// How a start went in a process of its own, after `call` was refused with each errno. `None` in
/// that process.
fn start_outputs_after(test: &str, call: i64, errnos: &[u32]) -> Option<Vec<String>> {
    let process = Process::start(test, |report| {
        for errno in errnos {
            refuse(call, *errno);
            report(&start());
        }
    });
    Some(process?.finish())
}

/// Asserts that each line is a refusal and contains its advice.
fn assert_each_contains(output: &[String], each: &[&str]) {
    assert_eq!(output.len(), each.len(), "{output:#?}");
    for (output, advice) in output.iter().zip(each) {
        assert!(
            output.starts_with("error: cannot start glommio: io_uring is refused (")
                && output.contains(advice),
            "{output} lacks: {advice}"
        );
    }
}

fn each_errno_of_io_uring_setup_has_its_own_advice() {
    let test = "each_errno_of_io_uring_setup_has_its_own_advice";
    let errnos = [EPERM, EACCES, ENOSYS, EINVAL, ENOMEM, EAGAIN];
    let Some(output) = start_outputs_after(test, IO_URING_SETUP, &errnos) else {
        return;
    };
    let each = [
        "(Operation not permitted (os error 1)): a seccomp filter forbids io_uring_setup: allow io_uring_setup, io_uring_enter and io_uring_register there",
        "a security module (SELinux, AppArmor) or a seccomp filter denies io_uring_setup",
        "has no io_uring (it needs Linux 5.8 with CONFIG_IO_URING)",
        "is too old: it needs Linux 5.8",
        "take 512 KiB: raise ",
        "it needs Linux 5.8, no seccomp filter that forbids io_uring_setup, and kernel.io_uring_disabled = 0",
    ];
    assert_each_contains(&output, &each);
}

/// glommio itself would panic.
fn refused_io_uring_register_is_an_error() {
    let test = "refused_io_uring_register_is_an_error";
    let Some(output) = start_outputs_after(test, IO_URING_REGISTER, &[EPERM, ENOSYS]) else {
        return;
    };
    let each = [
        "a seccomp filter forbids io_uring_register",
        "hides io_uring_register",
    ];
    assert_each_contains(&output, &each);
}

fn missing_locked_memory_is_an_error() {
    let output = start_output_after("missing_locked_memory_is_an_error", || {
        set_locked_memory_limit(0)
    });
    let Some(output) = output else { return };
    assert!(
        output.contains("error: cannot start glommio: this process may lock 0 KiB of memory (RLIMIT_MEMLOCK), and glommio needs 512 KiB: raise it, "),
        "{output}"
    );
    assert!(
        output.contains("`ulimit -l 512`") && output.contains("`LimitMEMLOCK=512K`"),
        "{output}"
    );
}

fn minimum_locked_memory_is_enough() {
    let output = start_output_after("minimum_locked_memory_is_enough", || {
        set_locked_memory_limit(MIB / 2)
    });
    let Some(output) = output else { return };
    assert!(output.contains("response: Hello"), "{output}");
}

async fn server_starts_without_restrictions() {
    let handle = serve_with(one_worker(), hello()).start().unwrap();
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    handle.shutdown(GRACE).await.unwrap();
}

anyport_testkit::tests_unless!(
    fixture::unavailable();
    blocking each_errno_of_io_uring_setup_has_its_own_advice,
    blocking refused_io_uring_register_is_an_error,
    blocking missing_locked_memory_is_an_error,
    blocking minimum_locked_memory_is_enough,
    server_starts_without_restrictions,
);
