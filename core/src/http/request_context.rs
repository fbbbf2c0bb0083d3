//! The link from a request and its response to their connection.
use super::{
    after_poll::{self, Fault},
    h1_unread::H1Unread,
    upgrade_answer::UpgradeAnswer,
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

/// The connection of a request, until the response has been sent.
///
/// An HTTP/1 connection polls its requests itself, one after another, so most requests need no
/// reference to it.
pub(super) enum RequestContext {
    /// The connection that is being polled.
    Minimal(Exchange),
    /// The connection of an HTTP/2 stream, which has a task of its own, or of an HTTP/1 request
    /// that has a body, may upgrade, or has a hook or a deadline.
    Full(FullContext),
}

/// The connection of a request that needs more than a count.
pub(super) struct FullContext {
    connection: Arc<ConnState>,
    facts: RequestFacts,
    /// HTTP/1: the exchange that the connection counts. HTTP/2 streams are counted by
    /// [`Streams`](super::Streams).
    exchange: Option<Exchange>,
    /// HTTP/1: where the app leaves a body that it does not read to the end. In both versions: the
    /// timer of the request timeout, once the app was pending.
    unread: Option<Arc<H1Unread>>,
    /// HTTP/1: the answer to the upgrade that the request offers, if it offers one.
    upgrade_answer: Option<UpgradeAnswer>,
}

impl Drop for FullContext {
    #[inline(never)]
    fn drop(&mut self) {
        if let Some(answer) = &self.upgrade_answer {
            answer.refuse();
        }
        // The body was dropped while the response was being sent. That is too late for `Connection:
        // close`, but the connection may be kept.
        if let Some(unread) = &self.unread {
            let _ = unread.read_in_background();
        }
    }
}

/// The facts about a request that its response depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestFacts {
    pub(super) upgrade: UpgradeKind,
    /// The method is HEAD.
    pub(super) is_head: bool,
    /// The version is HTTP/1.0, which has no chunked coding.
    pub(super) is_http10: bool,
}

/// The switch of protocols that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpgradeKind {
    /// Nothing.
    None,
    /// Another protocol, by status 101 (RFC 9110 7.8).
    Upgrade,
    /// A tunnel, by CONNECT (RFC 9110 9.3.6).
    Tunnel,
}

impl RequestContext {
    /// Makes the context of an HTTP/1 request that only has to be counted.
    pub(super) fn minimal() -> Self {
        Self::Minimal(Exchange::begin())
    }

    /// Makes the context of an HTTP/1 request that has a body, may upgrade, or has a hook or a
    /// deadline.
    pub(super) fn for_request(
        connection: &Arc<ConnState>,
        facts: RequestFacts,
        unread: Option<Arc<H1Unread>>,
        upgrade_answer: Option<UpgradeAnswer>,
    ) -> Self {
        Self::Full(FullContext {
            connection: Arc::clone(connection),
            facts,
            exchange: Some(Exchange::begin()),
            unread,
            upgrade_answer,
        })
    }

    /// Makes the context of an HTTP/2 request.
    pub(super) fn for_stream(connection: &Arc<ConnState>, facts: RequestFacts) -> Self {
        poll_scope::count_exchange();
        Self::Full(FullContext {
            connection: Arc::clone(connection),
            facts,
            exchange: None,
            unread: None,
            upgrade_answer: None,
        })
    }

    /// The connection, unless the context is minimal.
    pub(super) fn connection(&self) -> Option<&ConnState> {
        self.full().map(|full| &*full.connection)
    }

    /// Whether the request came on an HTTP/2 stream, which has a task of its own.
    pub(super) fn is_stream(&self) -> bool {
        self.full().is_some_and(|full| full.exchange.is_none())
    }

    /// Whether the method is HEAD.
    pub(super) fn is_head(&self) -> bool {
        self.full().is_some_and(|full| full.facts.is_head)
    }

    /// Whether the version is HTTP/1.0.
    pub(super) fn is_http10(&self) -> bool {
        self.full().is_some_and(|full| full.facts.is_http10)
    }

    fn full(&self) -> Option<&FullContext> {
        match self {
            Self::Minimal(_) => None,
            Self::Full(full) => Some(full),
        }
    }

    /// Whether the response says `Connection: close`. It also does so if too much of the request's
    /// body is unread. HTTP/2 has GOAWAY instead.
    pub(super) fn closes_connection(&self) -> bool {
        match self {
            Self::Minimal(exchange) => exchange.closes_connection(),
            Self::Full(full) => full.exchange.as_ref().is_some_and(|exchange| {
                let unread_is_read = || {
                    full.unread
                        .as_ref()
                        .is_none_or(|unread| unread.read_in_background())
                };
                exchange.closes_connection() || !unread_is_read()
            }),
        }
    }

    /// HTTP/1: where the app leaves the request's body, if the request has one.
    pub(super) fn unread(&self) -> Option<&Arc<H1Unread>> {
        self.full()?.unread.as_ref()
    }

    /// The response is the connection's last one, so the body is not read any further.
    pub(super) fn leave_unread(&mut self) {
        if let Self::Full(full) = self {
            full.unread = None;
        }
    }

    /// The response ends with the connection, so a premature end of the connection must be an error
    /// for the client.
    pub(super) fn ends_connection(&self) {
        if let Some(full) = self.full() {
            full.connection.flags.reset_unless_shut_down();
        }
    }

    #[cold]
    pub(super) fn panicked(&self, message: &str) {
        self.report(Fault::Panic(message.to_owned()));
    }

    /// Reports that the app's response breaks a rule of HTTP.
    #[cold]
    pub(super) fn wrong(&self, what: &'static str) {
        self.report(Fault::Response(what));
    }

    fn report(&self, fault: Fault) {
        match self {
            Self::Minimal(exchange) => after_poll::add_fault(exchange, fault),
            Self::Full(full) => fault.report(&full.connection),
        }
    }

    /// Records an upgrade of the connection or the stream, if this status means one.
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
            full.connection.flags.set_upgraded();
        }
        match &full.upgrade_answer {
            Some(answer) if upgrades => answer.accept(),
            Some(answer) => answer.refuse(),
            None => {}
        }
        upgrades
    }

    /// HTTP/1: the answer to the upgrade that the request offers, if it offers one.
    pub(super) fn upgrade_answer(&self) -> Option<&UpgradeAnswer> {
        self.full()?.upgrade_answer.as_ref()
    }

    /// Ready when the app has taken longer than the request timeout. Without a timeout, this costs
    /// one comparison.
    pub(super) fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self::Full(full) = self else {
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
