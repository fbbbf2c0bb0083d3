//! Hyper's connection, in either version of HTTP: built from a stream, polled, shut down
//! gracefully, and split into its parts.
#[cfg(feature = "http1")]
use super::upgrade_offer;
use super::{ConnService, SpawnStreams, Streams, detect::Version};
#[cfg(feature = "http2")]
use super::{
    h2_limits,
    h2_unread::{Discards, Unread},
};
use crate::{
    app::HttpService,
    engine::{Accepted, ConnState},
    transport::Connection,
};
#[cfg(feature = "http1")]
use bytes::Buf;
use bytes::Bytes;
#[cfg(feature = "http1")]
use hyper::server::conn::http1;
#[cfg(feature = "http2")]
use hyper::server::conn::http2;
use hyper::upgrade::OnUpgrade;
#[cfg(feature = "http2")]
use std::time::Duration;
use std::{
    marker::PhantomData,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

#[cfg(feature = "http1")]
type Http1<C, S> = http1::UpgradeableConnection<Accepted<C>, ConnService<S>>;
#[cfg(feature = "http2")]
type Http2<C, S, R> = http2::Connection<Accepted<C>, ConnService<S>, Streams<R>>;

/// The type parameters are the same, whichever versions are compiled in.
type Nothing<C, S, R> = PhantomData<fn() -> (C, S, R)>;

/// A connection that hyper serves.
#[cfg_attr(
    feature = "http1",
    expect(clippy::large_enum_variant, reason = "the whole connection is boxed")
)]
pub(super) enum HyperConn<C, S, R>
where
    C: Connection,
    S: HttpService,
    Streams<R>: SpawnStreams<S>,
{
    #[cfg(feature = "http1")]
    Http1(Http1<C, S>, Option<OnUpgrade>),
    #[cfg(feature = "http2")]
    Http2(std::pin::Pin<Box<Http2<C, S, R>>>, Discards),
    /// Hyper has finished, and the connection closes, which may take a while.
    #[cfg(feature = "http1")]
    Closing(Accepted<C>),
    Over(Nothing<C, S, R>),
}

/// The parts from which hyper was built, and the bytes that it had read of the next request.
pub(super) struct Parts<C: Connection, S> {
    pub(super) io: Accepted<C>,
    pub(super) service: ConnService<S>,
    pub(super) read: Bytes,
}

impl<C, S, R> HyperConn<C, S, R>
where
    C: Connection,
    S: HttpService,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<S>,
{
    pub(super) fn http1(io: Accepted<C>, service: ConnService<S>, state: &ConnState) -> Self {
        #[cfg(feature = "http1")]
        {
            let mut builder = http1::Builder::new();
            builder
                .max_header_size(state.config().limits.head_bytes)
                // The I/O object detects a client that disconnects during a response.
                .half_close(true);
            Self::Http1(builder.serve_connection(io, service).with_upgrades(), None)
        }
        #[cfg(not(feature = "http1"))]
        {
            drop((io, service, state));
            Self::over()
        }
    }

    pub(super) fn http2(
        io: Accepted<C>,
        service: ConnService<S>,
        state: &Arc<ConnState>,
        runtime: R,
    ) -> Self {
        #[cfg(feature = "http2")]
        {
            let config = state.config();
            let ping = config.timeouts.ping;
            state.flags.always_linger();
            let mut builder = http2::Builder::new(Streams::new(runtime, state.clone()));
            builder
                .timer(h2_limits::Clock(Arc::clone(&state.worker)))
                .enable_connect_protocol()
                .max_concurrent_streams(config.limits.h2_streams)
                .max_header_list_size(u32::try_from(config.limits.head_bytes).unwrap_or(u32::MAX))
                .max_pending_accept_reset_streams(h2_limits::PENDING_RESETS)
                .max_local_error_reset_streams(h2_limits::ERROR_RESETS)
                .keep_alive_interval((ping < Duration::MAX).then_some(ping))
                .keep_alive_timeout(h2_limits::PING_TIMEOUT);
            let unread = service.unread().map_or_else(Unread::new, Arc::clone);
            let discards = Discards::new(unread, &state.worker);
            Self::Http2(Box::pin(builder.serve_connection(io, service)), discards)
        }
        #[cfg(not(feature = "http2"))]
        {
            drop((io, service, state, runtime));
            Self::over()
        }
    }

    /// Polls hyper. Ready: the connection is closed. The error is not needed: hyper has already
    /// sent a response, if one was possible.
    pub(super) fn poll(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            #[cfg(feature = "http1")]
            Self::Http1(connection, kept) => {
                match std::task::ready!(std::pin::Pin::new(connection).poll(cx)) {
                    Err(error) if error.is_parse() => return self.poll_close(cx),
                    _ if state.flags.is_upgraded() => return Poll::Ready(()),
                    _ => {}
                }
                // The latest offer may have been made in this poll.
                match upgrade_offer::take()
                    .or_else(|| kept.take())
                    .and_then(upgrade_offer::io)
                {
                    Some(io) => {
                        *self = Self::Closing(io);
                        self.poll_close(cx)
                    }
                    None => Poll::Ready(()),
                }
            }
            #[cfg(feature = "http1")]
            Self::Closing(_) => self.poll_close(cx),
            #[cfg(feature = "http2")]
            Self::Http2(connection, discards) => poll_http2(connection.as_mut(), discards, cx),
            Self::Over(_) => {
                let _ = (state, cx);
                Poll::Ready(())
            }
        }
    }

    /// Requests a graceful shutdown: after the response in progress, or at once if idle.
    pub(super) fn graceful_shutdown(&mut self) {
        match self {
            #[cfg(feature = "http1")]
            Self::Http1(connection, _) => std::pin::Pin::new(connection).graceful_shutdown(),
            #[cfg(feature = "http2")]
            Self::Http2(connection, _) => connection.as_mut().graceful_shutdown(),
            #[cfg(feature = "http1")]
            Self::Closing(_) => {}
            Self::Over(_) => {}
        }
    }

    /// Keeps an upgrade offer: hyper moves the I/O object into it, even if the app ignores or
    /// refuses the offer.
    pub(super) fn keep_upgrade_offer(&mut self, offer: OnUpgrade) {
        #[cfg(feature = "http1")]
        if let Self::Http1(_, kept) = self {
            *kept = Some(offer);
        }
        #[cfg(not(feature = "http1"))]
        drop(offer);
    }

    /// Whether any request has offered an upgrade. From then on hyper does not return its I/O
    /// object, even if the app ignored the offer.
    pub(super) fn was_offered_upgrade(&self) -> bool {
        #[cfg(feature = "http1")]
        if let Self::Http1(_, kept) = self {
            return kept.is_some();
        }
        false
    }

    /// Closes a connection whose client sends what hyper cannot parse. Hyper has answered with 400.
    #[cfg(feature = "http1")]
    #[cold]
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Http1(..) = self
            && let Some(parts) = self.take_parts()
        {
            parts.io.linger_at_close();
            *self = Self::Closing(parts.io);
        }
        match self {
            Self::Closing(io) => {
                hyper::rt::Write::poll_shutdown(std::pin::Pin::new(io), cx).map(drop)
            }
            _ => Poll::Ready(()),
        }
    }

    /// Splits a finished HTTP/1 connection that was not upgraded.
    pub(super) fn take_parts(&mut self) -> Option<Parts<C, S>> {
        match self.take() {
            #[cfg(feature = "http1")]
            Self::Http1(connection, _) => connection.into_parts().map(|parts| Parts {
                io: parts.io,
                service: parts.service,
                read: after_empty_lines(parts.read_buf),
            }),
            _ => None,
        }
    }

    pub(super) fn version(&self) -> Version {
        match self {
            #[cfg(feature = "http2")]
            Self::Http2(..) => Version::Http2,
            _ => Version::Http1,
        }
    }
}

/// The beginning of a head, without the empty lines before it. Some clients send an empty line
/// after a body, and hyper ignores it as well (RFC 9112 2.2).
#[cfg(feature = "http1")]
fn after_empty_lines(mut read: Bytes) -> Bytes {
    loop {
        let line = match *read {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return read,
        };
        read.advance(line);
    }
}

/// Kept out of line, because it is large.
#[cfg(feature = "http2")]
#[inline(never)]
fn poll_http2<F: Future>(
    connection: std::pin::Pin<&mut F>,
    discards: &mut Discards,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let polled = connection.poll(cx).map(drop);
    if polled.is_pending() {
        discards.poll(cx);
    }
    polled
}

impl<C, S, R> HyperConn<C, S, R>
where
    C: Connection,
    S: HttpService,
    Streams<R>: SpawnStreams<S>,
{
    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Self::over())
    }

    fn over() -> Self {
        Self::Over(PhantomData)
    }
}
