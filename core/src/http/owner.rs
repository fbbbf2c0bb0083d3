//! What a request and its response know of the connection that they belong to.
use super::{
    after_poll::{self, Fault},
    rest::Rest,
};
use crate::{
    engine::{
        ConnState,
        turn::{self, Exchange},
    },
    observe::TimedOut,
};
use http::StatusCode;
use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The connection that a request belongs to; held to the end of its response.
///
/// An HTTP/1 connection polls its requests itself, one after another, so most of them need no
/// reference to it.
pub(super) enum Owner {
    /// The connection whose turn it is.
    Http1(Exchange),
    /// The connection of an HTTP/1 request that has a body, may upgrade it, or has a hook or a
    /// deadline; or of an HTTP/2 stream, in a task of its own.
    Known(Known),
}

/// The connection of a request that needs more than to count.
pub(super) struct Known {
    connection: Arc<ConnState>,
    asked: Asked,
    /// HTTP/1: the turn that it counts in. An HTTP/2 stream counts by itself.
    exchange: Option<Exchange>,
    /// HTTP/1: where the request's body is left, if it has one. In either version: the wait for the
    /// app, if there's a limit to it and there was something to wait for.
    rest: Option<Arc<Rest>>,
}

impl Drop for Known {
    #[inline(never)]
    fn drop(&mut self) {
        // Left while the response was under way: too late to say anything, but the connection may
        // be kept.
        if let Some(rest) = &self.rest {
            let _ = rest.is_read_behind();
        }
    }
}

/// What matters of a request for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) becomes: Becomes,
    /// It's a HEAD.
    pub(super) is_head: bool,
    /// It's HTTP/1.0, whose peers know no chunks.
    pub(super) is_old: bool,
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

impl Owner {
    /// Of an HTTP/1 request that needs no more than its connection's turn.
    pub(super) fn http1() -> Self {
        Self::Http1(Exchange::begin())
    }

    /// Of an HTTP/1 request that has a body, may upgrade its connection, or has a hook or a
    /// deadline.
    pub(super) fn http1_known(
        connection: &Arc<ConnState>,
        asked: Asked,
        rest: Option<Arc<Rest>>,
    ) -> Self {
        Self::Known(Known {
            connection: Arc::clone(connection),
            asked,
            exchange: Some(Exchange::begin()),
            rest,
        })
    }

    /// Of an HTTP/2 request.
    pub(super) fn stream(connection: &Arc<ConnState>, asked: Asked) -> Self {
        turn::count_exchange();
        Self::Known(Known {
            connection: Arc::clone(connection),
            asked,
            exchange: None,
            rest: None,
        })
    }

    /// The connection, if it's an HTTP/2 stream's, may be upgraded, or has a hook or a deadline for
    /// requests.
    pub(super) fn connection(&self) -> Option<&ConnState> {
        self.known().map(|known| &*known.connection)
    }

    /// Whether it's an HTTP/2 stream, in a task of its own.
    pub(super) fn is_stream(&self) -> bool {
        self.known().is_some_and(|known| known.exchange.is_none())
    }

    /// Whether it answers a HEAD.
    pub(super) fn answers_head(&self) -> bool {
        self.known().is_some_and(|known| known.asked.is_head)
    }

    /// Whether it answers a peer of HTTP/1.0.
    pub(super) fn is_old(&self) -> bool {
        self.known().is_some_and(|known| known.asked.is_old)
    }

    fn known(&self) -> Option<&Known> {
        match self {
            Self::Http1(_) => None,
            Self::Known(known) => Some(known),
        }
    }

    /// Whether the response says so, which it does, too, if there's more left of the request's body
    /// than is read behind it. HTTP/2 has a frame of its own for it.
    pub(super) fn tells_to_leave(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.tells_to_leave(),
            Self::Known(known) => known.exchange.as_ref().is_some_and(|exchange| {
                let rest_is_read = || known.rest.as_ref().is_none_or(|rest| rest.is_read_behind());
                exchange.tells_to_leave() || !rest_is_read()
            }),
        }
    }

    /// HTTP/1: where the request's body is left, if it has one.
    pub(super) fn rest(&self) -> Option<&Arc<Rest>> {
        self.known()?.rest.as_ref()
    }

    /// The response is the connection's last: nothing is read behind it.
    pub(super) fn give_up_rest(&mut self) {
        if let Self::Known(known) = self {
            known.rest = None;
        }
    }

    /// The end of the response is that of its connection.
    pub(super) fn ends_connection(&self) {
        if let Some(known) = self.known() {
            known.connection.reset_unless_shut_down();
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
            Self::Http1(exchange) => after_poll::add_fault(exchange, fault),
            Self::Known(known) => fault.report(&known.connection),
        }
    }

    /// Notes that the response makes something else of the connection, or of the stream, if so.
    pub(super) fn upgrades(&self, status: StatusCode) -> bool {
        let Some(known) = self.known() else {
            return false;
        };
        let upgrades = match known.asked.becomes {
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
        let Self::Known(known) = self else {
            return Poll::Pending;
        };
        let worker = &known.connection.worker;
        let timeout = worker.timeouts().request;
        if timeout == Duration::MAX {
            return Poll::Pending;
        }
        ready!(
            known
                .rest
                .get_or_insert_default()
                .poll_patience(timeout, worker, cx)
        );
        known.connection.timed_out(TimedOut::Request);
        Poll::Ready(())
    }
}
