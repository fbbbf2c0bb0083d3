//! The two ends of a WebSocket, which differ in their masks.
use super::violation::Violation;
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

/// A mask for the next frame of a client, which needs an unpredictable one for each frame (RFC 6455
/// 5.3). The generator is cryptographic, and seeded by the system.
#[cfg(feature = "client")]
pub(super) fn new_mask() -> [u8; 4] {
    rand::rng().random()
}

impl Side {
    /// Checks whether a received frame has a mask if it needs one (RFC 6455 5.1).
    pub(super) fn check(self, is_masked: bool) -> Result<(), Violation> {
        if is_masked == (self == Self::Server) {
            return Ok(());
        }
        Err(Violation::protocol(match self {
            Self::Server => "a client's frame is not masked (RFC 6455 5.1)",
            #[cfg(feature = "client")]
            Self::Client => "a server's frame is masked (RFC 6455 5.1)",
        }))
    }
}
