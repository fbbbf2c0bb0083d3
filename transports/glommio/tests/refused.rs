//! What glommio can't do without: the server doesn't start, and says what to do.
//!
//! A filter and a limit are the process's for good, so each server is in one of its own: this
//! test's binary, run once more.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;

use anyport_core::{Blame, ErrorKind, serve_with};
use anyport_testkit::process::{Process, allow_locked_memory};
use scene::{GRACE, get, hello, one};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::env;

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
const MIB: u64 = 1024 * 1024;

/// How the start of a server goes.
fn start() -> String {
    match serve_with(one(), hello()).start() {
        Ok(handle) => format!("answers: {}", get(&handle, "/").unwrap()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Start);
            assert_eq!(error.blame(), Blame::Environment);
            format!("error: {error}")
        }
    }
}

/// How the start of a server went in a process of its own, in which `prepare` was done. None there.
fn start_after(test: &str, prepare: impl FnOnce()) -> Option<String> {
    let process = Process::start(test, |say| {
        prepare();
        say(&start());
    });
    Some(process?.ends().join("\n"))
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

/// How each start of a server went in a process of its own, after that call was refused so. None
/// there.
fn starts_after(test: &str, call: i64, errnos: &[u32]) -> Option<Vec<String>> {
    let process = Process::start(test, |say| {
        for errno in errnos {
            refuse(call, *errno);
            say(&start());
        }
    });
    Some(process?.ends())
}

/// Whether each starts with what every refusal is said with, and holds its own.
fn all_hold(said: &[String], each: &[&str]) {
    assert_eq!(said.len(), each.len(), "{said:#?}");
    for (said, advice) in said.iter().zip(each) {
        assert!(
            said.starts_with("error: cannot start glommio: io_uring is refused (")
                && said.contains(advice),
            "{said} lacks: {advice}"
        );
    }
}

fn each_refusal_of_a_ring_is_told_with_advice_of_its_own() {
    let test = "each_refusal_of_a_ring_is_told_with_advice_of_its_own";
    let errnos = [EPERM, EACCES, ENOSYS, EINVAL, ENOMEM, EAGAIN];
    let Some(said) = starts_after(test, IO_URING_SETUP, &errnos) else {
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
    all_hold(&said, &each);
}

/// glommio itself would panic.
fn where_the_operations_cannot_be_asked_for_it_does_not_start() {
    let test = "where_the_operations_cannot_be_asked_for_it_does_not_start";
    let Some(said) = starts_after(test, IO_URING_REGISTER, &[EPERM, ENOSYS]) else {
        return;
    };
    let each = [
        "a seccomp filter forbids io_uring_register",
        "hides io_uring_register",
    ];
    all_hold(&said, &each);
}

fn without_the_right_to_lock_memory_it_does_not_start() {
    let said = start_after("without_the_right_to_lock_memory_it_does_not_start", || {
        allow_locked_memory(0)
    });
    let Some(said) = said else { return };
    assert!(
        said.contains("error: cannot start glommio: this process may lock 0 KiB of memory (RLIMIT_MEMLOCK), and glommio needs 512 KiB: raise it, "),
        "{said}"
    );
    assert!(
        said.contains("`ulimit -l 512`") && said.contains("`LimitMEMLOCK=512K`"),
        "{said}"
    );
}

fn with_the_least_that_it_asks_for_it_serves() {
    let said = start_after("with_the_least_that_it_asks_for_it_serves", || {
        allow_locked_memory(MIB / 2)
    });
    let Some(said) = said else { return };
    assert!(said.contains("answers: Hello"), "{said}");
}

async fn nothing_is_refused_here() {
    let handle = serve_with(one(), hello()).start().unwrap();
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    handle.shutdown(GRACE).await.unwrap();
}

anyport_testkit::tests_unless!(
    scene::missing();
    blocking each_refusal_of_a_ring_is_told_with_advice_of_its_own,
    blocking where_the_operations_cannot_be_asked_for_it_does_not_start,
    blocking without_the_right_to_lock_memory_it_does_not_start,
    blocking with_the_least_that_it_asks_for_it_serves,
    nothing_is_refused_here,
);
