//! The handshake: a request becomes a WebSocket, over HTTP/1.1 (RFC 6455 4.2) and over HTTP/2 (RFC
//! 8441).
#[cfg(feature = "deflate")]
mod deflate;
mod offer;
mod rejection;

#[cfg(feature = "deflate")]
pub(crate) use deflate::AgreedDeflate;
#[cfg(feature = "deflate")]
pub use deflate::Deflate;
pub(crate) use offer::Offer;
#[cfg(feature = "client")]
pub(crate) use offer::has_token;
pub use rejection::Rejection;

use crate::{
    config::{Config, Settings},
    error::Error,
    socket::{Agreed, Io, Socket, WebSocket},
};
use anyport_core::{Body, protocol::Upgraded, runtime::spawn};
use http::{Request, Response};
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Accepts a WebSocket. Returns the response, and a future of the WebSocket, which is ready some
/// time after the app has returned the response.
///
/// Spawn the future on the runtime of your app, or let [`upgrade`] do so. The handshake works for
/// `GET` over HTTP/1.1 and for extended `CONNECT` over HTTP/2.
///
/// ```
/// # use anyport_core::{Body, runtime::spawn};
/// # use anyport_ws::{self as ws, Config, Message};
/// # use http::{Request, Response};
/// async fn app(mut request: Request<Body>) -> anyport_core::Result<Response<Body>> {
///     let (response, socket) = match ws::accept(&mut request, &Config::default()) {
///         Ok(accepted) => accepted,
///         Err(rejection) => return Ok(rejection.into()),
///     };
///     spawn(async {
///         if let Ok(mut socket) = socket.await {
///             let _ = socket.send(Message::text("hello")).await;
///             let _ = socket.close(None).await;
///         }
///     })?;
///     Ok(response)
/// }
/// ```
///
/// # Errors
///
/// The request is not a valid handshake, or its origin is not allowed. The [`Rejection`] is the
/// response to it.
pub fn accept<B>(
    request: &mut Request<B>,
    config: &Config,
) -> Result<(Response<Body>, Opening), Rejection> {
    let (method, version) = (request.method().clone(), request.version());
    let mut headers = std::mem::take(request.headers_mut());
    let offer = Offer::of(&method, version, &headers, request.extensions_mut());
    std::mem::swap(request.headers_mut(), &mut headers);
    offer?.answer(config)
}

/// Accepts a WebSocket and runs a handler on it in the background ([`spawn`]), or refuses it.
///
/// ```
/// # use anyport_core::Body;
/// # use anyport_ws::{self as ws, Config};
/// # use http::{Request, Response};
/// async fn app(mut request: Request<Body>) -> anyport_core::Result<Response<Body>> {
///     Ok(ws::upgrade(&mut request, &Config::default(), |mut socket| async move {
///         while let Some(Ok(message)) = socket.recv().await {
///             if message.is_data() && socket.send(message).await.is_err() {
///                 return;
///             }
///         }
///     }))
/// }
/// ```
pub fn upgrade<B, F>(
    request: &mut Request<B>,
    config: &Config,
    handler: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    let accepted = accept(request, config);
    let started = accepted.and_then(|(response, opening)| {
        let task = async {
            // An error means that the client has disconnected, or that the app sent another
            // response.
            if let Ok(socket) = opening.await {
                handler(socket).await;
            }
        };
        spawn(task).map_err(|_| Rejection::no_runtime())?;
        Ok(response)
    });
    started.unwrap_or_else(Into::into)
}

/// The future of a WebSocket whose handshake was accepted.
///
/// # Errors
///
/// The app sent another response, or the connection ended before the upgrade. In the first case,
/// the future fails at once.
#[must_use = "futures do nothing unless polled"]
pub struct Opening(Option<Box<Parts>>);

struct Parts {
    upgraded: Upgrading,
    settings: Arc<Settings>,
    agreed: Agreed,
}

type Upgrading = Pin<Box<dyn Future<Output = io::Result<Upgraded>> + Send>>;

impl Opening {
    fn new(upgraded: Upgrading, config: &Config, agreed: Agreed) -> Self {
        // Boxed, because the task lives as long as the WebSocket, and would otherwise reserve space
        // for this value.
        Self(Some(Box::new(Parts {
            upgraded,
            settings: Arc::clone(config.settings()),
            agreed,
        })))
    }
}

impl Future for Opening {
    type Output = Result<WebSocket, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let parts = self.0.as_mut().ok_or(Error::Closed)?;
        let upgraded = ready!(parts.upgraded.as_mut().poll(cx));
        let Some(parts) = self.0.take().map(|parts| *parts) else {
            return Poll::Ready(Err(Error::Closed));
        };
        let io = upgraded.map_err(Error::Io)?;
        let socket = Socket::new(Io::Server(io), parts.settings, parts.agreed);
        Poll::Ready(Ok(WebSocket::new(socket)))
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}
