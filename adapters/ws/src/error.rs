//! The reason why a WebSocket ended, or why a message could not be sent.
use crate::protocol::Violation;
use std::{error, fmt, io};

/// The reason why a WebSocket ended, or why a message could not be sent. After `recv` has returned
/// an error, there are no more messages.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The connection failed, or ended without the peer's close.
    Io(io::Error),
    /// The peer broke the protocol, and this end has sent a close.
    Violation {
        /// The code of the close.
        code: u16,
        /// The violation, and the rule's source.
        what: &'static str,
    },
    /// The peer did not send a pong or a close in time.
    Timeout,
    /// The WebSocket is closed or closing, so nothing more can be sent.
    Closed,
    /// A ping or a pong has more than 125 bytes (RFC 6455 5.5).
    ControlTooLong,
}

impl Error {
    pub(crate) fn gone() -> Self {
        Self::Io(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the peer ended the connection without a close (RFC 6455 7.1.5: 1006)",
        ))
    }
}

impl From<Violation> for Error {
    fn from(Violation { code, what }: Violation) -> Self {
        Self::Violation { code, what }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the connection of a WebSocket failed: {error}"),
            Self::Violation { code, what } => {
                write!(f, "the peer of a WebSocket was closed with {code}: {what}")
            }
            Self::Timeout => {
                f.write_str("the peer of a WebSocket answered neither a ping nor a close in time")
            }
            Self::Closed => f.write_str("cannot send: the WebSocket is closed"),
            Self::ControlTooLong => f.write_str(
                "cannot send a ping or a pong of more than 125 bytes (RFC 6455 5.5): shorten it",
            ),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
