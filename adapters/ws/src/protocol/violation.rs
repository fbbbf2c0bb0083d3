//! What a peer did wrong, and the close code that it's told.
use crate::message::close_code;

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The close code to answer it with.
    pub(crate) code: u16,
    /// What it was, with its source; it's the reason in the close frame, so it has at most 123
    /// bytes.
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
