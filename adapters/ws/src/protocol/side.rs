//! The two ends of a WebSocket, which differ in their masks.
use super::{frame::apply_mask, violation::Violation};
#[cfg(feature = "client")]
use rand::Rng;

/// Which end of a WebSocket this is. Without the feature `client`, it is always the server, so the
/// compiler removes each check of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    #[cfg(feature = "client")]
    Client,
}

impl Side {
    /// The mask for the next frame from this end (RFC 6455 5.3). A client needs an unpredictable
    /// one for each frame: the generator is cryptographic, and seeded by the system. A server sends
    /// frames without a mask.
    pub(super) fn mask(self) -> Option<[u8; 4]> {
        match self {
            Self::Server => None,
            #[cfg(feature = "client")]
            Self::Client => Some(rand::rng().random()),
        }
    }

    /// Checks the mask of a received frame (RFC 6455 5.1). A frame without a mask has a mask of
    /// zeros.
    pub(super) fn check(self, mask: Option<[u8; 4]>) -> Result<[u8; 4], Violation> {
        match (self, mask) {
            (Self::Server, Some(mask)) => Ok(mask),
            (Self::Server, None) => Err(Violation::protocol(
                "a client's frame is not masked (RFC 6455 5.1)",
            )),
            #[cfg(feature = "client")]
            (Self::Client, None) => Ok([0; 4]),
            #[cfg(feature = "client")]
            (Self::Client, Some(_)) => Err(Violation::protocol(
                "a server's frame is masked (RFC 6455 5.1)",
            )),
        }
    }

    /// Removes the mask from the bytes of a received payload that begin at `offset`.
    pub(super) fn unmask(self, bytes: &mut [u8], mask: [u8; 4], offset: u64) {
        match self {
            Self::Server => apply_mask(bytes, mask, offset),
            #[cfg(feature = "client")]
            Self::Client => {}
        }
    }
}
