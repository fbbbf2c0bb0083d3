//! A violation of the protocol by the peer, and the close code for it.
use crate::message::close_code;

/// A violation of the protocol by the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The close code of the answer.
    pub(crate) code: u16,
    /// The violation and the rule's source. This is the reason in the close frame, so it has at
    /// most 123 bytes.
    pub(crate) what: &'static str,
}

impl Violation {
    pub(crate) const fn protocol(what: &'static str) -> Self {
        Self {
            code: close_code::PROTOCOL,
            what,
        }
    }

    pub(crate) const fn invalid(what: &'static str) -> Self {
        Self {
            code: close_code::INVALID,
            what,
        }
    }

    pub(crate) const fn too_large(what: &'static str) -> Self {
        Self {
            code: close_code::SIZE,
            what,
        }
    }

    pub(crate) const fn policy(what: &'static str) -> Self {
        Self {
            code: close_code::POLICY,
            what,
        }
    }
}
