//! What a request and its response know of the connection that they belong to.
use crate::{
    engine::{
        ConnState, Patience,
        turn::{self, Answering},
    },
    observe::TimedOut,
};
use http::StatusCode;
use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The connection that a request belongs to; held to the end of its response.
///
/// An HTTP/1 connection polls its requests itself, one after another, so most of them need no reference to it.
pub(super) enum Owner {
    /// The connection whose turn it is.
    Http1(Answering),
    /// The same, for a request that may upgrade it, or that has a hook or a deadline.
    Http1Known(Answering, Known),
    /// An HTTP/2 stream's, in a task of its own; it counts by itself.
    Stream(Known),
}

/// The connection of a request that needs more than to count.
pub(super) struct Known {
    connection: Arc<ConnState>,
    /// It's a CONNECT.
    connect: bool,
    /// With the app, as long as the head of the response may take, if there's such a limit.
    patience: Patience,
}

impl Known {
    fn new(connection: &Arc<ConnState>, connect: bool) -> Self {
        Self {
            connection: Arc::clone(connection),
            connect,
            patience: Patience::default(),
        }
    }
}

impl Owner {
    /// Of an HTTP/1 request that needs no more than its connection's turn.
    pub(super) fn http1() -> Self {
        Self::Http1(Answering::begin())
    }

    /// Of an HTTP/1 request that may upgrade its connection, or that has a hook or a deadline.
    pub(super) fn http1_known(connection: &Arc<ConnState>, connect: bool) -> Self {
        Self::Http1Known(Answering::begin(), Known::new(connection, connect))
    }

    pub(super) fn stream(connection: &Arc<ConnState>, connect: bool) -> Self {
        turn::count_request();
        Self::Stream(Known::new(connection, connect))
    }

    /// The connection, if it's an HTTP/2 stream's, may be upgraded, or has a hook or a deadline for requests.
    pub(super) fn connection(&self) -> Option<&ConnState> {
        match self {
            Self::Http1(_) => None,
            Self::Http1Known(_, known) | Self::Stream(known) => Some(&known.connection),
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
            Self::Http1Known(_, known) | Self::Stream(known) => known.connection.panicked(message),
        }
    }

    /// Notes that the response makes something else of the connection, or of the stream, if so.
    pub(super) fn upgrades(&self, status: StatusCode) -> bool {
        let upgraded = match self {
            Self::Http1(_) => None,
            Self::Http1Known(_, known) if status == StatusCode::SWITCHING_PROTOCOLS => Some(known),
            Self::Http1Known(_, known) | Self::Stream(known) => {
                (known.connect && status.is_success()).then_some(known)
            }
        };
        upgraded.map(|known| known.connection.set_upgraded()).is_some()
    }

    /// Ready when the app has taken as long as it may. Without such a limit, it costs a comparison.
    pub(super) fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Self::Http1Known(_, known) | Self::Stream(known)) = self else {
            return Poll::Pending;
        };
        let worker = &known.connection.worker;
        ready!(
            known
                .patience
                .poll(worker.shared.config.timeouts.request, worker, cx)
        );
        known.connection.timed_out(TimedOut::Request);
        Poll::Ready(())
    }
}
