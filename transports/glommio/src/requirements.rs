//! Checks what glommio requires of the kernel and of the process's limits before it starts. Without
//! io_uring, glommio ends the process or panics.
use anyport_core::{
    Error, ErrorKind, Result,
    runtime::{RingCall, RingNeeds},
};
use io_uring::{IoUring, Probe, opcode};
use rustix::{
    process::{Resource, getrlimit},
    time::{TimerfdClockId, TimerfdFlags, timerfd_create},
};
use std::io;

/// As much as glommio wants to be allowed to lock.
const MEMLOCK: u64 = 512 * 1024;

/// So it is of the rings.
const NEEDS: RingNeeds = RingNeeds::new("5.8", MEMLOCK / 1024);

/// An executor has three rings and an eventfd, looks for operations with another ring, and is going
/// to wait for clients (by two) and for a timer.
const DESCRIPTORS: usize = 9;

/// Whether a worker could be started.
pub(crate) fn check() -> Result<()> {
    memlock()?;
    io_uring().map_err(|(call, e)| match NEEDS.advice(call, &e) {
        Some(advice) => {
            let what = format!("cannot start glommio: io_uring is refused ({e}): {advice}");
            Error::new(ErrorKind::Start, what).with_source(e)
        }
        None => Error::start("start glommio", e),
    })
}

fn memlock() -> Result<()> {
    let limit = getrlimit(Resource::Memlock);
    match limit.current {
        Some(found) if found < MEMLOCK => Err(Error::new(
            ErrorKind::Start,
            too_little(found, limit.maximum),
        )),
        _ => Ok(()),
    }
}

fn too_little(found: u64, maximum: Option<u64>) -> String {
    let kib = MEMLOCK / 1024;
    let who = match maximum {
        Some(maximum) if maximum < MEMLOCK => "as root, ",
        _ => "",
    };
    format!(
        "cannot start glommio: this process may lock {} KiB of memory (RLIMIT_MEMLOCK), and glommio needs {kib} KiB: raise it, {who}with `ulimit -l {kib}`, or in a systemd unit with `LimitMEMLOCK={kib}K`",
        found / 1024
    )
}

/// Whether there are rings, and all operations that glommio looks for: it exits the process if one
/// is missing.
fn io_uring() -> std::result::Result<(), (RingCall, io::Error)> {
    let ring = IoUring::new(2).map_err(|e| (RingCall::Setup, e))?;
    let mut probe = Probe::new();
    let probed = ring.submitter().register_probe(&mut probe);
    probed.map_err(|e| (RingCall::Register, e))?;
    match NEEDED.iter().find(|(code, _)| !probe.is_supported(*code)) {
        Some((_, name)) => {
            let missing = format!("the kernel has no IORING_OP_{name}");
            let missing = io::Error::new(io::ErrorKind::Unsupported, missing);
            Err((RingCall::Register, missing))
        }
        None => Ok(()),
    }
}

const NEEDED: [(u8, &str); 23] = [
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

/// Whether there are as many descriptors left as an executor takes: where glommio itself is the
/// first to find that there aren't, it panics, also at each later start.
pub(crate) fn descriptors() -> io::Result<()> {
    let one = |_| timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC);
    let all: std::result::Result<Vec<_>, _> = (0..DESCRIPTORS).map(one).collect();
    all?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_raise_the_limit_alone_is_not_sent_to_root() {
        let own = too_little(64 * 1024, Some(8192 * 1024));
        assert!(own.contains("may lock 64 KiB"), "{own}");
        assert!(own.contains("raise it, with `ulimit -l 512`"), "{own}");
        assert!(own.contains("`LimitMEMLOCK=512K`"), "{own}");
        let roots = too_little(0, Some(0));
        assert!(roots.contains("may lock 0 KiB"), "{roots}");
        assert!(roots.contains("as root, with `ulimit -l 512`"), "{roots}");
        assert!(!too_little(0, None).contains("root"));
    }
}
