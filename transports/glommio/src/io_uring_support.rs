//! Checks what glommio requires of the kernel and of the process's limits before it starts. Without
//! io_uring, glommio ends the process or panics.
use anyport_core::{
    Error, Result,
    error::ErrorKind,
    runtime::{IoUringCall, IoUringRequirements},
};
use io_uring::{IoUring, Probe, opcode};
use rustix::{
    process::{Resource, getrlimit},
    time::{TimerfdClockId, TimerfdFlags, timerfd_create},
};
use std::io;

/// The limit of locked memory that glommio requires, in bytes.
const MEMLOCK: u64 = 512 * 1024;

/// The rings need the same amount.
const NEEDS: IoUringRequirements = IoUringRequirements::new("5.8", MEMLOCK / 1024);

/// An executor has three rings and an eventfd, and probes the operations with another ring. A
/// worker then waits for clients (two descriptors) and for its timer.
const DESCRIPTORS: usize = 9;

/// Checks whether a worker could start.
pub(crate) fn check() -> Result<()> {
    check_memlock()?;
    probe().map_err(|(call, e)| match NEEDS.advice(call, &e) {
        Some(advice) => {
            let message = format!("cannot start glommio: io_uring is refused ({e}): {advice}");
            Error::new(ErrorKind::Start, message).with_source(e)
        }
        None => Error::start("start glommio", e),
    })
}

fn check_memlock() -> Result<()> {
    let limit = getrlimit(Resource::Memlock);
    match limit.current {
        Some(found) if found < MEMLOCK => Err(Error::new(
            ErrorKind::Start,
            memlock_message(found, limit.maximum),
        )),
        _ => Ok(()),
    }
}

fn memlock_message(found: u64, maximum: Option<u64>) -> String {
    let kib = MEMLOCK / 1024;
    let as_root = match maximum {
        Some(maximum) if maximum < MEMLOCK => "as root, ",
        _ => "",
    };
    format!(
        "cannot start glommio: this process may lock {} KiB of memory (RLIMIT_MEMLOCK), and glommio needs {kib} KiB: raise it, {as_root}with `ulimit -l {kib}`, or in a systemd unit with `LimitMEMLOCK={kib}K`",
        found / 1024
    )
}

/// Checks that rings are available, with all operations that glommio probes. glommio exits the
/// process if one is missing.
fn probe() -> std::result::Result<(), (IoUringCall, io::Error)> {
    let ring = IoUring::new(2).map_err(|e| (IoUringCall::Setup, e))?;
    let mut probe = Probe::new();
    let probed = ring.submitter().register_probe(&mut probe);
    probed.map_err(|e| (IoUringCall::Register, e))?;
    match NEEDED_OPCODES
        .iter()
        .find(|(code, _)| !probe.is_supported(*code))
    {
        Some((_, name)) => {
            let missing = format!("the kernel has no IORING_OP_{name}");
            let missing = io::Error::new(io::ErrorKind::Unsupported, missing);
            Err((IoUringCall::Register, missing))
        }
        None => Ok(()),
    }
}

const NEEDED_OPCODES: [(u8, &str); 23] = [
    (opcode::Nop::CODE, "NOP"),
    (opcode::Readv::CODE, "READV"),
    (opcode::Writev::CODE, "WRITEV"),
    (opcode::Fsync::CODE, "FSYNC"),
    (opcode::ReadFixed::CODE, "READ_FIXED"),
    (opcode::WriteFixed::CODE, "WRITE_FIXED"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::PollRemove::CODE, "POLL_REMOVE"),
    (opcode::SendMsg::CODE, "SENDMSG"),
    (opcode::RecvMsg::CODE, "RECVMSG"),
    (opcode::Timeout::CODE, "TIMEOUT"),
    (opcode::TimeoutRemove::CODE, "TIMEOUT_REMOVE"),
    (opcode::Accept::CODE, "ACCEPT"),
    (opcode::LinkTimeout::CODE, "LINK_TIMEOUT"),
    (opcode::Connect::CODE, "CONNECT"),
    (opcode::Fallocate::CODE, "FALLOCATE"),
    (opcode::OpenAt::CODE, "OPENAT"),
    (opcode::Close::CODE, "CLOSE"),
    (opcode::Statx::CODE, "STATX"),
    (opcode::Read::CODE, "READ"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::Send::CODE, "SEND"),
    (opcode::Recv::CODE, "RECV"),
];

/// Checks that as many descriptors are left as an executor takes. Without them, glommio panics, and
/// then panics at each later start as well.
pub(crate) fn check_descriptors() -> io::Result<()> {
    let one = |_| timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC);
    let all: std::result::Result<Vec<_>, _> = (0..DESCRIPTORS).map(one).collect();
    all?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_mentions_root_only_if_the_hard_limit_is_too_low() {
        let own = memlock_message(64 * 1024, Some(8192 * 1024));
        assert!(own.contains("may lock 64 KiB"), "{own}");
        assert!(own.contains("raise it, with `ulimit -l 512`"), "{own}");
        assert!(own.contains("`LimitMEMLOCK=512K`"), "{own}");
        let limited = memlock_message(0, Some(0));
        assert!(limited.contains("may lock 0 KiB"), "{limited}");
        assert!(
            limited.contains("as root, with `ulimit -l 512`"),
            "{limited}"
        );
        assert!(!memlock_message(0, None).contains("root"));
    }
}
