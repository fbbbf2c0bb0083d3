//! The client's handshake (RFC 6455 4.1, RFC 8441 5): a connection becomes a WebSocket.
mod error;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod request;
mod response;

pub use error::{HandshakeError, HandshakeErrorKind};

use crate::{
    config::Config,
    socket::{ClientStream, Io, Socket, WebSocket},
};
use anyport_core::{Connection, runtime::SharedTimer};
use bytes::Bytes;
use error::Failure;
use http::{HeaderMap, HeaderName, HeaderValue, Response, Uri, uri::Scheme};
use hyper::{
    body::{Body, Incoming},
    rt::Sleep,
};
use request::Offer;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// The largest head of a response, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How many bytes of a refusal's body an error keeps.
const MAX_BODY: usize = 4 * 1024;

/// The client's handshake: it opens a WebSocket over a connection.
///
/// The connection comes from any [`Connector`](anyport_core::transport::Connector), and can be a
/// TCP connection, a Unix socket, or TLS over either. For any other stream, use
/// [`Conn`](anyport_core::transport::Conn). Over TLS, the version of HTTP is that of ALPN: `h2` is
/// HTTP/2, anything else is HTTP/1.1.
///
/// The [`WebSocket`] is of the same type as a server's. Its frames are masked with unpredictable
/// keys, and frames with a mask are refused.
///
/// ```
/// use anyport_core::{Runtime, runtime::Tokio, transport::{Connector, Target}};
/// use anyport_ws::{ClientHandshake, Config, Message};
/// use std::time::Duration;
///
/// type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
///
/// async fn hello<C: Connector>(connector: C, target: Target) -> Result<()> {
///     let connection = connector.connect(&target).await?.await?;
///     let (mut socket, _) = ClientHandshake::new("ws://example.com/chat")?
///         .with_config(Config::default().with_protocols(["chat.v2", "chat.v1"]))
///         .with_deadline(Duration::from_secs(5))
///         .open(connection, Tokio::current().timer())
///         .await?;
///     socket.send(Message::text("hello")).await?;
///     println!("{:?}", socket.recv().await);
///     Ok(socket.close(None).await?)
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "open a WebSocket with `open`"]
pub struct ClientHandshake {
    uri: Uri,
    headers: HeaderMap,
    config: Config,
    deadline: Duration,
    prior_knowledge: bool,
}

/// The server's answer: the bytes of the WebSocket, and the head.
struct Accepted {
    connection: Box<dyn Connection>,
    /// Bytes that came with the response.
    unread: Bytes,
    response: Response<()>,
}

impl ClientHandshake {
    /// Prepares a handshake for an address: `ws://host:port/path?query`, or `wss://..`. The port is
    /// 80 or 443 by default, and a fragment is not sent (RFC 6455 3).
    ///
    /// # Errors
    ///
    /// [`HandshakeErrorKind::InvalidRequest`]: this is not such an address.
    pub fn new(uri: impl AsRef<str>) -> Result<Self, HandshakeError> {
        let uri = uri.as_ref();
        Ok(Self {
            uri: request::parse(uri).map_err(|failure| failure.at(request::shown(uri)))?,
            headers: HeaderMap::new(),
            config: Config::default(),
            deadline: Duration::from_secs(30),
            prior_knowledge: false,
        })
    }

    /// Sets limits, heartbeat, the offered subprotocols ([`Config::with_protocols`]) and the
    /// offered compression.
    pub fn with_config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Adds a header to the request, such as `Authorization`, `Origin` or `Cookie`. The handshake
    /// sets its own headers; adding one of them is an error of [`open`](Self::open).
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets the deadline of the handshake. Default: 30 s. It does not include the time to connect.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Uses HTTP/2 without ALPN, because the server is known to support it (RFC 9113 3.3).
    #[cfg(feature = "http2")]
    pub fn with_http2_prior_knowledge(mut self) -> Self {
        self.prior_knowledge = true;
        self
    }

    /// The host of the address, for example for a lookup. An IPv6 address has brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    /// The port of the address.
    #[must_use]
    pub fn port(&self) -> u16 {
        let default = if self.is_secure() { 443 } else { 80 };
        self.uri.port_u16().unwrap_or(default)
    }

    /// Whether the address is `wss://`, so that the connection has to use TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Opens a WebSocket over a connection. Also returns the head of the response.
    ///
    /// `timer` is that of the runtime where the connection is used: `R::current().timer()` of
    /// [`Runtime`](anyport_core::Runtime).
    ///
    /// # Contract
    ///
    /// Nothing is sent before the first poll. The handshake spawns nothing: dropping the future, or
    /// later the WebSocket, closes the connection. Over HTTP/2, the connection carries only this
    /// WebSocket.
    ///
    /// # Errors
    ///
    /// See [`HandshakeErrorKind`]. The connection is closed then.
    pub async fn open<C: Connection>(
        self,
        connection: C,
        timer: SharedTimer,
    ) -> Result<(WebSocket, Response<()>), HandshakeError> {
        let opened = self.exchange(connection, timer).await;
        opened.map_err(|failure| failure.at(request::Address(&self.uri)))
    }

    async fn exchange<C: Connection>(
        &self,
        connection: C,
        timer: SharedTimer,
    ) -> Result<(WebSocket, Response<()>), Failure> {
        if self.is_secure() && connection.info().tls().is_none() {
            return Err(Failure::invalid(
                "the address is wss, but the connection has no TLS (use a connector with `.tls(..)`)",
            ));
        }
        let mut deadline = Deadline {
            after: self.deadline,
            sleep: timer.sleep(self.deadline),
        };
        let offer = Offer::new(self)?;
        let is_http2 = self.prior_knowledge || connection.info().alpn() == Some(b"h2");
        let accepted = match is_http2 {
            #[cfg(feature = "http2")]
            true => http2::exchange(connection, offer.http2()?, &mut deadline).await,
            #[cfg(not(feature = "http2"))]
            true => Err(Failure::invalid(
                "the connection has agreed on h2 by ALPN (turn on the feature `http2`, or offer only http/1.1)",
            )),
            false => http1::exchange(connection, offer.http1()?, &mut deadline).await,
        }?;
        let agreed = offer.check(&accepted.response, !is_http2)?;
        let stream = ClientStream::new(accepted.connection, accepted.unread, timer);
        let settings = Arc::clone(self.config.settings());
        let socket = Socket::new(Io::Client(Box::new(stream)), settings, agreed);
        Ok((WebSocket::new(socket), accepted.response))
    }
}

/// The deadline of a handshake.
struct Deadline {
    after: Duration,
    sleep: Pin<Box<dyn Sleep>>,
}

impl Deadline {
    /// The output of a future, unless the deadline passes before.
    async fn limit<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.sleep.as_mut().poll(cx).map(|()| {
                let what = format!("no complete response within {:?}", self.after);
                Err(Failure::new(HandshakeErrorKind::Deadline, what))
            })
        })
        .await
    }
}

/// The connection that has to be polled while a response is read.
trait Drive {
    fn drive(&mut self, cx: &mut Context<'_>);
}

/// The failure of a refused handshake, with the start of the body.
async fn refused(
    response: Response<Incoming>,
    connection: &mut impl Drive,
    deadline: &mut Deadline,
) -> Failure {
    let (head, mut body) = response.into_parts();
    let mut start = Vec::new();
    let reading = poll_fn(|cx| {
        connection.drive(cx);
        while start.len() < MAX_BODY {
            match Pin::new(&mut body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    start.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                }
                Poll::Ready(_) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    });
    // The status is known, so the deadline ends only the body.
    let _ = deadline.limit(reading).await;
    start.truncate(MAX_BODY);
    Failure::refused(Response::from_parts(head, start.into()))
}
