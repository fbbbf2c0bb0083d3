//! Finds the ends of answers in a stream of bytes, and that they're those that were asked for.

mod messages;
mod responses;

use messages::Messages;
use responses::Responses;
use std::sync::Arc;

pub(crate) use responses::check_upgrade;

/// Where in its answers a connection stands.
#[derive(Debug)]
pub(crate) enum Scanner {
    Responses(Responses),
    Messages(Messages),
}

impl Scanner {
    /// For HTTP/1.1: each answer is a 200 with this body.
    pub(crate) fn responses(body: Arc<[u8]>) -> Self {
        Self::Responses(Responses::new(body))
    }

    /// For a WebSocket: each answer is a frame with this text.
    pub(crate) fn messages(text: &[u8]) -> Self {
        Self::Messages(Messages::new(text))
    }

    /// Takes the next bytes; says how many answers end in them, of at most `owed`.
    ///
    /// # Errors
    ///
    /// When it isn't what was asked for, or more than that.
    pub(crate) fn feed(&mut self, bytes: &[u8], owed: usize) -> anyhow::Result<usize> {
        match self {
            Self::Responses(responses) => responses.feed(bytes, owed),
            Self::Messages(messages) => messages.feed(bytes, owed),
        }
    }
}
