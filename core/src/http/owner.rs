//! What a request and its response know of the connection that they belong to.
use super::turn::{self, Answering};
use crate::engine::ConnState;
use std::sync::Arc;

/// The connection that a request belongs to; held to the end of its response.
///
/// An HTTP/1 connection polls its requests itself, one after another, so most of them need no reference to it.
pub(super) enum Owner {
    /// The connection whose turn it is.
    Http1(Answering),
    /// The same, for a request that may upgrade it, or that has a hook or a deadline.
    Http1Known(Answering, Arc<ConnState>),
    /// An HTTP/2 stream's, in a task of its own; it counts by itself.
    Stream(Arc<ConnState>),
}

impl Owner {
    /// Of an HTTP/1 request that needs no more than its connection's turn.
    pub(super) fn http1() -> Self {
        Self::Http1(Answering::begin())
    }

    /// Of an HTTP/1 request that may upgrade its connection, or that has a hook or a deadline.
    pub(super) fn http1_known(connection: &Arc<ConnState>) -> Self {
        Self::Http1Known(Answering::begin(), Arc::clone(connection))
    }

    pub(super) fn stream(connection: &Arc<ConnState>) -> Self {
        turn::count_request();
        Self::Stream(Arc::clone(connection))
    }

    /// The connection, if it's an HTTP/2 stream's, may be upgraded, or has a hook or a deadline for requests.
    pub(super) fn connection(&self) -> Option<&ConnState> {
        match self {
            Self::Http1(_) => None,
            Self::Http1Known(_, connection) | Self::Stream(connection) => Some(connection),
        }
    }

    /// Whether it's an HTTP/2 stream, in a task of its own.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Whether the response says so. HTTP/2 has a frame of its own for it.
    pub(super) fn tells_to_leave(&self) -> bool {
        match self {
            Self::Http1(answering) | Self::Http1Known(answering, _) => answering.tells_to_leave(),
            Self::Stream(_) => false,
        }
    }

    #[cold]
    pub(super) fn panicked(&self, message: &str) {
        match self {
            Self::Http1(answering) => answering.panicked(message),
            Self::Http1Known(_, connection) | Self::Stream(connection) => connection.panicked(message),
        }
    }
}
