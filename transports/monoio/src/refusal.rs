//! Why there's no ring, and what to do about it.
use anyport_core::runtime::{RingCall, RingNeeds};
use io_uring::{IoUring, Probe};
use monoio::utils::detect_uring;
use std::{env, io};

const NEEDS: RingNeeds = RingNeeds::new("5.6", 256);

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

/// Whether the kernel has all operations that monoio looks for, and monoio may use them.
pub(crate) fn detect() -> Result<(), NoRing> {
    if detect_uring() {
        return Ok(());
    }
    // It doesn't say why.
    if env::var_os(FORCED).is_some() {
        return Err(NoRing::Refused(Refusal {
            why: format!("{FORCED} is set"),
            advice: format!("unset {FORCED}"),
        }));
    }
    let ring = IoUring::new(2).map_err(|e| NoRing::new(RingCall::Setup, e))?;
    let probed = ring.submitter().register_probe(&mut Probe::new());
    probed.map_err(|e| NoRing::new(RingCall::Register, e))?;
    let missing = io::Error::new(io::ErrorKind::Unsupported, "an operation is missing");
    Err(NoRing::new(RingCall::Register, missing))
}
