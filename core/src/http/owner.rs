//! What a request and its response know of the connection that they belong to.
use super::rest::Rest;
use crate::{
    engine::{
        ConnState, Patience,
        turn::{self, Answering, Fault},
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
    /// The same, for a request that has a body, may upgrade it, or has a hook or a deadline.
    Http1Known(Known, Answering),
    /// An HTTP/2 stream's, in a task of its own; it counts by itself.
    Stream(Known),
}

/// The connection of a request that needs more than to count.
pub(super) struct Known {
    connection: Arc<ConnState>,
    /// What it may become.
    becomes: Becomes,
    /// With the app, as long as the head of the response may take, if there's such a limit.
    patience: Patience,
    /// HTTP/1: where the request's body is left, if it has one.
    rest: Option<Arc<Rest>>,
}

impl Drop for Known {
    fn drop(&mut self) {
        // Left while the response was under way: too late to say anything, but the connection may be kept.
        if let Some(rest) = &self.rest {
            let _ = rest.is_read_behind();
        }
    }
}

/// What a request asks its connection, or its stream, to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    /// What it is.
    Itself,
    /// Another protocol, by 101 (RFC 9110 7.8).
    Upgrade,
    /// A tunnel: it's a CONNECT (RFC 9110 9.3.6).
    Tunnel,
}

impl Known {
    fn new(connection: &Arc<ConnState>, becomes: Becomes, rest: Option<Arc<Rest>>) -> Self {
        Self {
            connection: Arc::clone(connection),
            becomes,
            patience: Patience::default(),
            rest,
        }
    }
}

impl Owner {
    /// Of an HTTP/1 request that needs no more than its connection's turn.
    pub(super) fn http1() -> Self {
        Self::Http1(Answering::begin())
    }

    /// Of an HTTP/1 request that has a body, may upgrade its connection, or has a hook or a deadline.
    pub(super) fn http1_known(
        connection: &Arc<ConnState>,
        becomes: Becomes,
        rest: Option<Arc<Rest>>,
    ) -> Self {
        Self::Http1Known(Known::new(connection, becomes, rest), Answering::begin())
    }

    pub(super) fn stream(connection: &Arc<ConnState>, becomes: Becomes) -> Self {
        turn::count_request();
        Self::Stream(Known::new(connection, becomes, None))
    }

    /// The connection, if it's an HTTP/2 stream's, may be upgraded, or has a hook or a deadline for requests.
    pub(super) fn connection(&self) -> Option<&ConnState> {
        match self {
            Self::Http1(_) => None,
            Self::Http1Known(known, _) | Self::Stream(known) => Some(&known.connection),
        }
    }

    /// Whether it's an HTTP/2 stream, in a task of its own.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Whether the response says so, which it does, too, if there's more left of the request's body than is read behind it. HTTP/2 has a frame of its own for it.
    pub(super) fn tells_to_leave(&self) -> bool {
        match self {
            Self::Http1(answering) => answering.tells_to_leave(),
            Self::Http1Known(known, answering) => {
                let rest_is_read = || known.rest.as_ref().is_none_or(|rest| rest.is_read_behind());
                answering.tells_to_leave() || !rest_is_read()
            }
            Self::Stream(_) => false,
        }
    }

    /// The response is the connection's last: nothing is read behind it.
    pub(super) fn give_up_rest(&mut self) {
        if let Self::Http1Known(known, _) = self {
            known.rest = None;
        }
    }

    #[cold]
    pub(super) fn panicked(&self, message: &str) {
        self.report(Fault::Panic(message.to_owned()));
    }

    /// The app's response breaks a rule of HTTP.
    #[cold]
    pub(super) fn wrong(&self, what: &'static str) {
        self.report(Fault::Response(what));
    }

    fn report(&self, fault: Fault) {
        match self {
            Self::Http1(answering) => answering.report(fault),
            Self::Http1Known(known, _) | Self::Stream(known) => known.connection.report(&fault),
        }
    }

    /// Notes that the response makes something else of the connection, or of the stream, if so.
    pub(super) fn upgrades(&self, status: StatusCode) -> bool {
        let (Self::Http1Known(known, _) | Self::Stream(known)) = self else {
            return false;
        };
        let upgrades = match known.becomes {
            Becomes::Itself => false,
            Becomes::Upgrade => status == StatusCode::SWITCHING_PROTOCOLS,
            Becomes::Tunnel => status.is_success(),
        };
        if upgrades {
            known.connection.set_upgraded();
        }
        upgrades
    }

    /// Ready when the app has taken as long as it may. Without such a limit, it costs a comparison.
    pub(super) fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Self::Http1Known(known, _) | Self::Stream(known)) = self else {
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
