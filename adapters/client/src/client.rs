//! The client.
use crate::{
    Builder, Counts, Error, MakeConnection, ResponseBody,
    client_runtime::{Ambient, ClientRuntime},
    config::Config,
    pool::Pool,
    request::send,
    request_body::ClientBody,
};
use anyport_core::Body;
use http::{Request, Response};
use std::{
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// An HTTP client with a pool of connections for each [`Origin`](crate::Origin).
///
/// Make one and clone it: clones share the pool, and a clone costs one reference count. `F` is the
/// [connection factory](MakeConnection), `B` the type of request bodies, and `M` the
/// [runtime](ClientRuntime). When the last clone is dropped, idle connections close, and the others
/// when their responses have ended. Requests that were sent before are still served.
///
/// It is a tower service of `Request<B>`, which is always ready. [`send`](Self::send) is the same
/// without a box.
///
/// # Contract
///
/// - The URI of a request is absolute: `http://host/path`. Its scheme, host and port, and the
///   [`PoolKey`](crate::PoolKey) among its extensions, choose the pool. A `Host` that you set is
///   sent as it is.
/// - A request gets an open connection, or a place in the queue of its origin, in the order of the
///   first polls. The caps are exact.
/// - **Cancel safety**: dropping the future leaves the queue, gives up the connection that it was
///   given, or cancels the request. An HTTP/1.1 connection with a canceled request is closed.
/// - A request is sent again only if the server closed its connection between two requests, or
///   refused it (RFC 9113, section 8.7), if nothing of a response was read, its method is
///   idempotent, and it has no body. This happens up to five times, and never after a new
///   connection failed.
///
/// # Errors
///
/// [`Error`] has the kinds. A response with an error status is a response.
pub struct Client<F: MakeConnection, B: ClientBody = Body, M: ClientRuntime<F, B> = Ambient>(
    Arc<Handle<F, B, M>>,
);

/// Shared by the clones of a client.
struct Handle<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>>(Arc<Pool<F, B, M>>);

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Client<F, B, M> {
    pub(crate) fn with_config(factory: F, config: Config) -> Self {
        Self(Arc::new(Handle(Arc::new(Pool::new(
            factory,
            config,
            M::timer(),
        )))))
    }

    /// How many connections and requests there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.0.counts()
    }
}

impl<F: MakeConnection> Client<F, Body, Ambient>
where
    Ambient: ClientRuntime<F, Body>,
{
    /// A client with this connection factory, and with settings other than the defaults.
    pub fn builder(factory: F) -> Builder<F> {
        Builder::new(factory)
    }
}

impl<F, B, M> Client<F, B, M>
where
    F: MakeConnection,
    B: ClientBody,
    M: ClientRuntime<F, B>,
{
    /// Sends a request, and returns the response when its head has come.
    ///
    /// Nothing happens before the first poll.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn send(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Error>> + use<F, B, M> {
        send(Arc::clone(&self.0.0), request)
    }
}

impl<F, B, M> Service<Request<B>> for Client<F, B, M>
where
    F: MakeConnection,
    B: ClientBody,
    M: ClientRuntime<F, B>,
{
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = M::Future;

    /// Always ready: the queue is part of the request.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> M::Future {
        M::send(Arc::clone(&self.0.0), request)
    }
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Drop for Handle<F, B, M> {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Clone for Client<F, B, M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> fmt::Debug for Client<F, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::Client;
    use crate::Fixed;
    use anyport_core::Body;
    use anyport_tcp::TcpConnector;
    use http::Request;
    use std::net::{Ipv4Addr, SocketAddr};

    /// A proxy's server copies it twice for each request.
    #[tokio::test]
    async fn future_of_a_request_has_at_most_1024_bytes() {
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let client: Client<_> = Client::builder(Fixed::new(TcpConnector::new(), target)).build();
        let size = size_of_val(&client.send(Request::new(Body::empty())));
        assert!(size <= 1024, "{size}");
    }
}
