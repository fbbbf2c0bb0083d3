//! Diagnoses why io_uring cannot be used, and says what to do.
use anyport_core::runtime::{RingCall, RingNeeds};
use io_uring::{
    IoUring, Probe,
    opcode::{
        Accept, AsyncCancel, Close, Connect, Fsync, OpenAt, PollAdd, ProvideBuffers, Read, Readv,
        Recv, RecvMsg, Send, SendMsg, Timeout, Write, Writev,
    },
};
use std::{env, io};

const NEEDS: RingNeeds = RingNeeds::new("5.6", 256);

/// What monoio 0.2 may begin.
const OPERATIONS: [u8; 17] = [
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

/// It keeps monoio from io_uring.
const FORCED: &str = "MONOIO_FORCE_LEGACY_DRIVER";

/// io_uring is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) why: String,
    pub(crate) advice: String,
}

/// Why there's no ring.
#[derive(Debug)]
pub(crate) enum NoRing {
    Refused(Refusal),
    /// There's nothing to be had of this kind: epoll would lack it, too.
    Exhausted(io::Error),
}

impl NoRing {
    pub(crate) fn new(call: RingCall, error: io::Error) -> Self {
        match NEEDS.advice(call, &error) {
            Some(advice) => Self::Refused(Refusal {
                why: error.to_string(),
                advice,
            }),
            None => Self::Exhausted(error),
        }
    }
}

/// Whether the kernel has all operations that monoio begins, and this process may use them.
/// monoio's own answer is the first one for good, also if there was just no descriptor left.
pub(crate) fn detect() -> Result<(), NoRing> {
    if env::var(FORCED)
        .is_ok_and(|value| matches!(&*value.to_ascii_lowercase(), "1" | "true" | "yes"))
    {
        return Err(NoRing::Refused(Refusal {
            why: format!("{FORCED} is set"),
            advice: format!("unset {FORCED}"),
        }));
    }
    let ring = IoUring::new(2).map_err(|e| NoRing::new(RingCall::Setup, e))?;
    let mut probe = Probe::new();
    let probed = ring.submitter().register_probe(&mut probe);
    probed.map_err(|e| NoRing::new(RingCall::Register, e))?;
    if OPERATIONS
        .iter()
        .all(|operation| probe.is_supported(*operation))
    {
        return Ok(());
    }
    let missing = io::Error::new(io::ErrorKind::Unsupported, "an operation is missing");
    Err(NoRing::new(RingCall::Register, missing))
}
