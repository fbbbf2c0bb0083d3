//! What a request and its response know of the connection that they belong to.
use super::{
    after_poll::{self, Fault},
    h1_unread::H1Unread,
};
use crate::{
    engine::{
        ConnState,
        poll_scope::{self, Exchange},
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
pub(super) enum RequestContext {
    /// The connection whose turn it is.
    Minimal(Exchange),
    /// The connection of an HTTP/1 request that has a body, may upgrade it, or has a hook or a
    /// deadline; or of an HTTP/2 stream, in a task of its own.
    FullContext(FullContext),
}

/// The connection of a request that needs more than to count.
pub(super) struct FullContext {
    connection: Arc<ConnState>,
    facts: RequestFacts,
    /// HTTP/1: the turn that it counts in. An HTTP/2 stream counts by itself.
    exchange: Option<Exchange>,
    /// HTTP/1: where the request's body is left, if it has one. In either version: the wait for the
    /// app, if there's a limit to it and there was something to wait for.
    unread: Option<Arc<H1Unread>>,
}

impl Drop for FullContext {
    #[inline(never)]
    fn drop(&mut self) {
        // Left while the response was under way: too late to say anything, but the connection may
        // be kept.
        if let Some(unread) = &self.unread {
            let _ = unread.read_in_background();
        }
    }
}

/// What matters of a request for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestFacts {
    pub(super) upgrade: UpgradeKind,
    /// It's a HEAD.
    pub(super) is_head: bool,
    /// It's HTTP/1.0, whose peers know no chunks.
    pub(super) is_http10: bool,
}

/// What a request asks its connection, or its stream, to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpgradeKind {
    /// What it is.
    None,
    /// Another protocol, by 101 (RFC 9110 7.8).
    Upgrade,
    /// A tunnel: it's a CONNECT (RFC 9110 9.3.6).
    Tunnel,
}

impl RequestContext {
    /// Of an HTTP/1 request that needs no more than its connection's turn.
    pub(super) fn minimal() -> Self {
        Self::Minimal(Exchange::begin())
    }

    /// Of an HTTP/1 request that has a body, may upgrade its connection, or has a hook or a
    /// deadline.
    pub(super) fn for_request(
        connection: &Arc<ConnState>,
        facts: RequestFacts,
        unread: Option<Arc<H1Unread>>,
    ) -> Self {
        Self::FullContext(FullContext {
            connection: Arc::clone(connection),
            facts,
            exchange: Some(Exchange::begin()),
            unread,
        })
    }

    /// Of an HTTP/2 request.
    pub(super) fn for_stream(connection: &Arc<ConnState>, facts: RequestFacts) -> Self {
        poll_scope::count_exchange();
        Self::FullContext(FullContext {
            connection: Arc::clone(connection),
            facts,
            exchange: None,
            unread: None,
        })
    }

    /// The connection, if it's an HTTP/2 stream's, may be upgraded, or has a hook or a deadline for
    /// requests.
    pub(super) fn connection(&self) -> Option<&ConnState> {
        self.full().map(|full| &*full.connection)
    }

    /// Whether it's an HTTP/2 stream, in a task of its own.
    pub(super) fn is_stream(&self) -> bool {
        self.full().is_some_and(|full| full.exchange.is_none())
    }

    /// Whether it answers a HEAD.
    pub(super) fn is_head(&self) -> bool {
        self.full().is_some_and(|full| full.facts.is_head)
    }

    /// Whether it answers a peer of HTTP/1.0.
    pub(super) fn is_http10(&self) -> bool {
        self.full().is_some_and(|full| full.facts.is_http10)
    }

    fn full(&self) -> Option<&FullContext> {
        match self {
            Self::Minimal(_) => None,
            Self::FullContext(full) => Some(full),
        }
    }

    /// Whether the response says so, which it does, too, if there's more left of the request's body
    /// than is read behind it. HTTP/2 has a frame of its own for it.
    pub(super) fn closes_connection(&self) -> bool {
        match self {
            Self::Minimal(exchange) => exchange.closes_connection(),
            Self::FullContext(full) => full.exchange.as_ref().is_some_and(|exchange| {
                let unread_is_read = || {
                    full.unread
                        .as_ref()
                        .is_none_or(|unread| unread.read_in_background())
                };
                exchange.closes_connection() || !unread_is_read()
            }),
        }
    }

    /// HTTP/1: where the request's body is left, if it has one.
    pub(super) fn unread(&self) -> Option<&Arc<H1Unread>> {
        self.full()?.unread.as_ref()
    }

    /// The response is the connection's last: nothing is read behind it.
    pub(super) fn leave_unread(&mut self) {
        if let Self::FullContext(full) = self {
            full.unread = None;
        }
    }

    /// The end of the response is that of its connection.
    pub(super) fn ends_connection(&self) {
        if let Some(full) = self.full() {
            full.connection.reset_unless_shut_down();
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
            Self::Minimal(exchange) => after_poll::add_fault(exchange, fault),
            Self::FullContext(full) => fault.report(&full.connection),
        }
    }

    /// Notes that the response makes something else of the connection, or of the stream, if so.
    pub(super) fn upgrades(&self, status: StatusCode) -> bool {
        let Some(full) = self.full() else {
            return false;
        };
        let upgrades = match full.facts.upgrade {
            UpgradeKind::None => false,
            UpgradeKind::Upgrade => status == StatusCode::SWITCHING_PROTOCOLS,
            UpgradeKind::Tunnel => status.is_success(),
        };
        if upgrades {
            full.connection.set_upgraded();
        }
        upgrades
    }

    /// Ready when the app has taken as long as it may. Without such a limit, it costs a comparison.
    pub(super) fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self::FullContext(full) = self else {
            return Poll::Pending;
        };
        let worker = &full.connection.worker;
        let timeout = worker.timeouts().request;
        if timeout == Duration::MAX {
            return Poll::Pending;
        }
        ready!(
            full.unread
                .get_or_insert_default()
                .poll_timeout(timeout, worker, cx)
        );
        full.connection.timed_out(TimedOut::Request);
        Poll::Ready(())
    }
}
