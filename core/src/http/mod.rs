//! HTTP/1.1 and HTTP/2 on the same port, by hyper, and what hyper leaves to the server.
//!
//! A connection is told apart by what its handshake agreed on (ALPN) or by its first bytes; until they're there, nothing of hyper
//! exists. What's added to hyper: one deadline over all phases, the `Host` rules of RFC 9112, answers to errors and panics of the app, and
//! a drain that loses no request.
//!
//! It knows requests, responses and hyper, and asks the engine for what a connection needs. It must not know how a server is put together.
mod after_poll;
mod awake;
mod call;
mod conn_service;
mod content;
mod detect;
mod discard;
mod dormant;
#[cfg(feature = "http2")]
mod h2_limits;
mod host;
mod offer;
mod owner;
mod refusal;
mod reply;
mod request;
mod rest;
mod speaks;
mod state_machine;
mod streams;
mod task;
#[cfg(feature = "http2")]
mod unread;
#[cfg(any(feature = "http1", feature = "http2"))]
mod upgraded;
mod upload;

pub use call::Call;
pub use conn_service::ConnService;
pub use reply::Reply;
pub use streams::{SpawnStreams, StreamTask, Streams};
pub use task::HttpTask;
#[cfg(any(feature = "http1", feature = "http2"))]
pub use upgraded::Upgraded;
#[cfg(any(feature = "http1", feature = "http2"))]
pub(crate) use upgraded::register;

use crate::{
    app::App,
    engine::{Accepted, ConnContext, Protocol},
    runtime::Worker,
    transport::Connection,
};
use std::fmt;

/// The [`Protocol`] that serves an [`App`] over HTTP.
#[derive(Clone)]
pub struct Http<A: App, R> {
    app: A,
    service: A::Service,
    runtime: R,
}

impl<A: App, R> Http<A, R> {
    pub(crate) fn new(app: A, worker: &Worker, runtime: R) -> Self {
        let service = app.make(worker);
        Self {
            app,
            service,
            runtime,
        }
    }
}

impl<C, A, R> Protocol<Accepted<C>> for Http<A, R>
where
    C: Connection,
    A: App,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<A::Service>,
{
    type Task = HttpTask<C, A, R>;

    fn serve(self, connection: Accepted<C>, context: ConnContext) -> Self::Task {
        HttpTask::new(self, connection, context)
    }
}

impl<A: App, R> fmt::Debug for Http<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}
