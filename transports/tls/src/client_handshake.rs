//! The handshake of a client. It begins after the handshake of the connector below.
use crate::{
    TlsConnection,
    config::{LoadedClient, explained},
    counting_io::CountingIo,
};
use anyport_core::{Connection, transport::Target};
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, ClientConnection, Error, InvalidMessage, pki_types::ServerName};
use std::{
    error, fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio_rustls::Connect;

pin_project_lite::pin_project! {
    /// The handshake of one connection. Dropping it closes the connection.
    #[must_use = "futures do nothing unless polled"]
    pub struct TlsClientHandshake<H, C: Connection> {
        target: Target,
        name: ServerName<'static>,
        config: Arc<LoadedClient>,
        #[pin]
        stage: Stage<H, C>,
    }
}

pin_project_lite::pin_project! {
    #[project = StageProj]
    enum Stage<H, C: Connection> {
        Transport {
            #[pin]
            handshake: H,
        },
        // Boxed: the session is large.
        Tls {
            connect: Box<Connect<TokioIo<CountingIo<C>>>>,
        },
    }
}

impl<H, C: Connection> TlsClientHandshake<H, C> {
    pub(crate) fn new(
        handshake: H,
        target: Target,
        name: ServerName<'static>,
        config: Arc<LoadedClient>,
    ) -> Self {
        Self {
            target,
            name,
            config,
            stage: Stage::Transport { handshake },
        }
    }
}

impl<H, C> Future for TlsClientHandshake<H, C>
where
    H: Future<Output = io::Result<C>>,
    C: Connection,
{
    type Output = io::Result<TlsConnection<C, ClientConnection>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut me = self.project();
        loop {
            match me.stage.as_mut().project() {
                StageProj::Transport { handshake } => {
                    let io = TokioIo::new(CountingIo::new(ready!(handshake.poll(cx))?));
                    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&me.config.rustls));
                    let connect = Box::new(connector.connect(me.name.clone(), io));
                    me.stage.set(Stage::Tls { connect });
                }
                StageProj::Tls { connect } => {
                    let (polled, reason) = explained(|| Pin::new(connect).poll(cx));
                    return Poll::Ready(match ready!(polled) {
                        Ok(stream) => Ok(TlsConnection::new_client(stream, me.name)),
                        Err(error) => Err(me.target.error(explain(error, reason))),
                    });
                }
            }
        }
    }
}

/// Adds to an error what it means. `reason`: why the server's certificate was refused.
fn explain(error: io::Error, reason: Option<String>) -> io::Error {
    const IS_IT_TLS: &str = "does it speak TLS on this port?";
    let kind = error.kind();
    let rustls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    let text = match (rustls, kind) {
        (_, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            format!("the server closed the connection in the TLS handshake ({IS_IT_TLS})")
        }
        (Some(Error::InvalidCertificate(_)), _) if reason.is_some() => reason.unwrap_or_default(),
        (Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)), _) => {
            format!("the server's answer is not TLS ({IS_IT_TLS})")
        }
        (Some(Error::AlertReceived(alert)), _) => format!(
            "the server refused the TLS handshake: {}",
            advice(*alert).map_or_else(
                || format!("{alert:?}"),
                |advice| format!("{alert:?} ({advice})")
            )
        ),
        _ => format!("the TLS handshake failed: {error}"),
    };
    io::Error::new(kind, HandshakeError { text, error })
}

/// What an alert usually means to a client (RFC 8446 6.2).
fn advice(alert: AlertDescription) -> Option<&'static str> {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            Some("no cipher suite in common, or the server requires a client's certificate")
        }
        AlertDescription::ProtocolVersion => Some("no version of TLS in common"),
        AlertDescription::NoApplicationProtocol => Some("it offers none of the ALPN protocols"),
        AlertDescription::UnrecognisedName => Some("it has no certificate for this name"),
        _ => None,
    }
}

/// The inner error of a failed handshake: what it means, with the error itself as its source.
#[derive(Debug)]
struct HandshakeError {
    text: String,
    error: io::Error,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<H, C: Connection> fmt::Debug for TlsClientHandshake<H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClientHandshake")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
