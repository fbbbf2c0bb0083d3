//! Extractors for facts about the connection of a request.
use crate::ConnectionRejection;
use anyport_core::{
    ConnInfo,
    transport::{Drain, Endpoint, PeerCred, TlsInfo},
};
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{Extensions, request::Parts};

/// The facts about the connection: its addresses, its number, its worker, TLS, credentials.
///
/// ```
/// # use anyport_axum::ConnectionInfo;
/// async fn handler(ConnectionInfo(info): ConnectionInfo) -> String {
///     format!("connection {} of {}, accepted at {}", info.id(), info.peer(), info.local())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
///
/// # Errors
///
/// 500 if the request lacks them: serve [`app(router)`](crate::app()) instead of the router.
#[derive(Clone, Debug)]
pub struct ConnectionInfo(pub ConnInfo);

/// The peer: an IP address and port, a Unix socket, or an address of another transport.
///
/// ```
/// # use anyport_axum::Peer;
/// async fn handler(Peer(peer): Peer) -> String {
///     match peer.socket_addr() {
///         Some(addr) => format!("Hello, {}!", addr.ip()),
///         None => format!("Hello, {peer}!"),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
///
/// # Errors
///
/// The errors are those of [`ConnectionInfo`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer(pub Endpoint);

/// The result of the TLS handshake, with the client's certificates. Use `Option<TlsSession>` in a
/// handler that also serves plain text.
///
/// ```
/// # use anyport_axum::TlsSession;
/// async fn encrypted_only(TlsSession(tls): TlsSession) -> String {
///     format!("{} with {}", tls.version(), tls.cipher_suite())
/// }
///
/// async fn both(tls: Option<TlsSession>) -> &'static str {
///     if tls.is_some() { "encrypted" } else { "readable by all" }
/// }
/// # let _: axum::Router = axum::Router::new()
/// #     .route("/", axum::routing::get(encrypted_only)).route("/both", axum::routing::get(both));
/// ```
///
/// The extractor clones the session's facts; [`ConnectionInfo`] has the original.
///
/// # Errors
///
/// 403 over a connection without TLS, where an `Option` is `None`. The other errors are those of
/// [`ConnectionInfo`], for an `Option` as well.
#[derive(Clone, Debug)]
pub struct TlsSession(pub TlsInfo);

/// The peer's process, user and group over Unix sockets, as the kernel reports them. Use
/// `Option<Credentials>` in a handler that also serves other transports.
///
/// ```
/// # use anyport_axum::Credentials;
/// # use http::StatusCode;
/// async fn root_only(Credentials(cred): Credentials) -> Result<&'static str, StatusCode> {
///     if cred.uid == 0 { Ok("Welcome") } else { Err(StatusCode::FORBIDDEN) }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(root_only));
/// ```
///
/// # Errors
///
/// 403 over a connection without credentials, where an `Option` is `None`. The other errors are
/// those of [`ConnectionInfo`], for an `Option` as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials(pub PeerCred);

/// Whether the server is draining, as a flag and as a future: a [`Drain`]. With it, a long-running
/// handler can end before it is aborted at the end of the grace.
///
/// ```
/// # use anyport_axum::DrainSignal;
/// # use axum::{extract::ws::{Message, WebSocket, WebSocketUpgrade}, response::Response};
/// async fn echo(DrainSignal(drain): DrainSignal, upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(async |mut socket: WebSocket| {
///         let mut drain = drain;
///         loop {
///             let message = tokio::select! {
///                 message = socket.recv() => message,
///                 () = &mut drain => None,
///             };
///             let Some(Ok(message)) = message else { break };
///             if socket.send(message).await.is_err() {
///                 return;
///             }
///         }
///         // Sends a close frame, unless one was sent.
///         let _ = socket.send(Message::Close(None)).await;
///     })
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::any(echo));
/// ```
///
/// With `axum::serve` the future is never ready.
///
/// # Errors
///
/// The errors are those of [`ConnectionInfo`].
#[derive(Clone, Debug)]
pub struct DrainSignal(pub Drain);

impl<S: Sync> FromRequestParts<S> for DrainSignal {
    type Rejection = ConnectionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        info(&parts.extensions).map(|info| Self(info.drain()))
    }
}

impl<S: Sync> FromRequestParts<S> for ConnectionInfo {
    type Rejection = ConnectionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        info(&parts.extensions).cloned().map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = ConnectionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        info(&parts.extensions).map(|info| Self(info.peer().clone()))
    }
}

impl<S: Sync> FromRequestParts<S> for TlsSession {
    type Rejection = ConnectionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        tls(&parts.extensions)?.ok_or(ConnectionRejection::NoTls)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for TlsSession {
    type Rejection = ConnectionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        tls(&parts.extensions)
    }
}

impl<S: Sync> FromRequestParts<S> for Credentials {
    type Rejection = ConnectionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        credentials(&parts.extensions)?.ok_or(ConnectionRejection::NoCredentials)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Credentials {
    type Rejection = ConnectionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        credentials(&parts.extensions)
    }
}

fn tls(extensions: &Extensions) -> Result<Option<TlsSession>, ConnectionRejection> {
    Ok(info(extensions)?.tls().cloned().map(TlsSession))
}

fn credentials(extensions: &Extensions) -> Result<Option<Credentials>, ConnectionRejection> {
    Ok(info(extensions)?.peer_cred().copied().map(Credentials))
}

/// anyport's server adds the `ConnInfo` itself; `axum::serve` adds it as the `ConnectInfo` of its
/// make service.
fn info(extensions: &Extensions) -> Result<&ConnInfo, ConnectionRejection> {
    let info = extensions.get();
    #[cfg(feature = "serve")]
    let info = info.or_else(|| {
        let connected: Option<&axum::extract::ConnectInfo<ConnectionInfo>> = extensions.get();
        connected.map(|connected| &connected.0.0)
    });
    info.ok_or_else(ConnectionRejection::no_conn_info)
}
