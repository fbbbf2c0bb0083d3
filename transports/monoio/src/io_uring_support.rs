//! Diagnoses why io_uring cannot be used, and says what to do.
use anyport_core::runtime::{IoUringCall, IoUringRequirements};
use io_uring::{
    IoUring, Probe,
    opcode::{
        Accept, AsyncCancel, Close, Connect, Fsync, OpenAt, PollAdd, ProvideBuffers, Read, Readv,
        Recv, RecvMsg, Send, SendMsg, Timeout, Write, Writev,
    },
};
use std::{env, io};

const NEEDS: IoUringRequirements = IoUringRequirements::new("5.6", 256);

/// The operations that monoio 0.2 submits.
const NEEDED_OPCODES: [u8; 17] = [
    Accept::CODE,
    AsyncCancel::CODE,
    Close::CODE,
    Connect::CODE,
    Fsync::CODE,
    OpenAt::CODE,
    PollAdd::CODE,
    ProvideBuffers::CODE,
    Read::CODE,
    Readv::CODE,
    Recv::CODE,
    RecvMsg::CODE,
    Send::CODE,
    SendMsg::CODE,
    Timeout::CODE,
    Write::CODE,
    Writev::CODE,
];

/// This variable makes monoio use epoll.
const FORCE_LEGACY: &str = "MONOIO_FORCE_LEGACY_DRIVER";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) advice: String,
}

/// The reason why no ring could be set up.
#[derive(Debug)]
pub(crate) enum RingError {
    Refused(Refusal),
    /// A resource is exhausted that epoll would need as well.
    Exhausted(io::Error),
}

impl RingError {
    pub(crate) fn new(call: IoUringCall, error: io::Error) -> Self {
        match NEEDS.advice(call, &error) {
            Some(advice) => Self::Refused(Refusal {
                reason: error.to_string(),
                advice,
            }),
            None => Self::Exhausted(error),
        }
    }
}

/// Checks that the kernel supports all operations that monoio submits, and that this process may
/// use them. monoio itself caches its first answer, even if only a descriptor was missing then.
pub(crate) fn check() -> Result<(), RingError> {
    if env::var(FORCE_LEGACY)
        .is_ok_and(|value| matches!(&*value.to_ascii_lowercase(), "1" | "true" | "yes"))
    {
        return Err(RingError::Refused(Refusal {
            reason: format!("{FORCE_LEGACY} is set"),
            advice: format!("unset {FORCE_LEGACY}"),
        }));
    }
    let ring = IoUring::new(2).map_err(|e| RingError::new(IoUringCall::Setup, e))?;
    let mut probe = Probe::new();
    let probed = ring.submitter().register_probe(&mut probe);
    probed.map_err(|e| RingError::new(IoUringCall::Register, e))?;
    if NEEDED_OPCODES
        .iter()
        .all(|operation| probe.is_supported(*operation))
    {
        return Ok(());
    }
    let missing = io::Error::new(io::ErrorKind::Unsupported, "an operation is missing");
    Err(RingError::new(IoUringCall::Register, missing))
}
