//! HTTP/1.1 and HTTP/2 on the same port, by hyper, and what hyper leaves to the server.
//!
//! ALPN or the first bytes of a connection decide the version. Until then, no state of hyper
//! exists. This module adds deadlines for every phase, the `Host` rules of RFC 9112, and responses
//! to errors and panics of the app. Its drain loses no request.
//!
//! This module has requests, responses and hyper, and uses the engine for connections. It must not
//! depend on the server that starts it.
mod active;
mod after_poll;
mod call;
mod conn_service;
mod content;
mod detect;
mod discard;
mod h1_unread;
#[cfg(feature = "http2")]
mod h2_limits;
#[cfg(feature = "http2")]
mod h2_unread;
mod host;
mod hyper_conn;
mod refusal;
mod reply;
mod request;
mod request_context;
mod requests;
mod spawn_streams;
mod state_machine;
mod streams;
mod task;
mod timed_body;
#[cfg(any(feature = "http1", feature = "http2"))]
mod tunnel;
mod until_closed;
mod upgrade_answer;
mod upgrade_offer;
#[cfg(any(feature = "http1", feature = "http2"))]
mod upgraded;
mod upload;
mod waiting;

pub use call::Call;
pub use conn_service::ConnService;
pub use reply::Reply;
pub use requests::{Requests, ResponseTask};
pub use spawn_streams::SpawnStreams;
pub use streams::{StreamTask, Streams};
pub use task::HttpTask;
#[cfg(any(feature = "http1", feature = "http2"))]
pub use upgraded::Upgraded;

use crate::{
    app::App,
    engine::{Accepted, ConnContext, Protocol},
    runtime::Worker,
    transport::{Connected, Connection},
};
use std::{fmt, future::Future};

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

/// A connection over which HTTP can be served.
///
/// Every byte stream is one: hyper serves HTTP/1 and HTTP/2 over it. A connection of another kind,
/// such as QUIC, implements this trait and hands its requests to the app by [`Requests`].
#[diagnostic::on_unimplemented(
    message = "HTTP cannot be served over `{Self}`",
    label = "neither a byte stream (`Connection`) nor a connection that says how HTTP is served over it"
)]
pub trait HttpConnection<A: App, R>: Connected + Sized {
    /// The work of one connection.
    type Task: Future<Output = ()> + 'static;

    /// Makes the task of a connection.
    fn serve_http(http: Http<A, R>, connection: Accepted<Self>, context: ConnContext)
    -> Self::Task;

    /// Called once before the first connection.
    #[doc(hidden)]
    fn prepare() {}
}

#[diagnostic::do_not_recommend]
impl<C, A, R> HttpConnection<A, R> for C
where
    C: Connection,
    A: App,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<A::Service>,
{
    type Task = HttpTask<C, A, R>;

    fn serve_http(http: Http<A, R>, connection: Accepted<C>, context: ConnContext) -> Self::Task {
        HttpTask::new(http, connection, context)
    }

    fn prepare() {
        #[cfg(any(feature = "http1", feature = "http2"))]
        upgraded::register::<C>();
    }
}

impl<C, A, R> Protocol<Accepted<C>> for Http<A, R>
where
    C: HttpConnection<A, R>,
    A: App,
    R: Clone + 'static,
{
    type Task = C::Task;

    fn serve(self, connection: Accepted<C>, context: ConnContext) -> Self::Task {
        C::serve_http(self, connection, context)
    }
}

impl<A: App, R> fmt::Debug for Http<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}
