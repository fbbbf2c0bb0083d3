//! Requests of a connection that hyper does not serve. They reach the app as hyper's do.
use super::{
    Call, ConnService, Http, StreamTask, Streams,
    detect::Version,
    until_closed::{Siblings, UntilClosed},
};
use crate::{
    app::{App, HttpService},
    engine::{Accepted, ConnContext},
    error::BoxError,
    transport::Connected,
};
use bytes::Bytes;
use http::Request;
use http_body::Body;
use hyper::rt::Executor;
use std::{fmt, future::Future};

/// The way from an [`HttpConnection`](super::HttpConnection) that is not a byte stream to the app:
/// it calls the app, and runs the task that sends a response.
///
/// All rules for requests apply: those for hosts (RFC 9113 8.3.1), limits and timeouts, panics of
/// the app, counting. The connection itself does the framing, `:authority` and `Content-Length`.
pub struct Requests<S, R> {
    service: ConnService<S>,
    streams: Streams<R>,
    responses: Siblings,
}

/// The task of one response, for an executor.
pub type ResponseTask<F> = StreamTask<UntilClosed<F>>;

impl<A: App, R> Http<A, R> {
    /// Makes the app's service for this connection.
    pub fn requests<C: Connected>(
        self,
        connection: &Accepted<C>,
        context: &ConnContext,
    ) -> Requests<A::Service, R> {
        let (state, info) = (&context.state, connection.conn_info());
        let service = self.app.connect(self.service, info);
        Requests {
            service: ConnService::new(service, info.clone(), state.clone(), Version::Http2),
            streams: Streams::new(self.runtime, state.clone()),
            responses: Siblings::default(),
        }
    }
}

impl<S: HttpService, R> Requests<S, R> {
    /// Hands a request to the app. The call never fails: a request that breaks a rule is answered
    /// with 400, a panic of the app with 500, a timeout with 504.
    pub fn call<B>(&self, request: Request<B>) -> Call<S>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
    {
        self.service.respond(request)
    }

    /// Runs the sending of a response in a task of its own. The task counts as a request of the
    /// connection, so a drain waits for it.
    ///
    /// The task is dropped if it panics, if the client accepts nothing of the response's body for
    /// [`Timeouts::write_stall`](crate::Timeouts), and when the connection's task is dropped.
    pub fn spawn<F>(&self, response: F)
    where
        F: Future<Output = ()>,
        R: Executor<ResponseTask<F>>,
    {
        self.streams.execute(self.responses.join(response));
    }
}

impl<S, R> fmt::Debug for Requests<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}
