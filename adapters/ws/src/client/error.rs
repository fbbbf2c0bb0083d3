//! The reason why a client's handshake failed.
use bytes::Bytes;
use http::{Response, StatusCode};
use std::{borrow::Cow, error, fmt, io};

/// The reason why a client's handshake failed. Its `Display` is one line that names the address.
///
/// ```text
/// cannot open ws://example.com/chat: the server answered 403 Forbidden: "no such room"
/// ```
///
/// Match on [`kind`](Self::kind): the wording may change.
pub struct HandshakeError(Box<Inner>);

struct Inner {
    address: String,
    failure: Failure,
}

/// The kind of a [`HandshakeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeErrorKind {
    /// The address, a header or a subprotocol cannot be sent. Nothing was sent.
    InvalidRequest,
    /// The connection failed, or ended before the response was complete.
    Io,
    /// The response is not HTTP of the version that was asked for.
    InvalidResponse,
    /// The head of the response has more than 64 KiB or more than 100 fields.
    TooLarge,
    /// The response has a status other than 101 (over HTTP/2: 200). See
    /// [`HandshakeError::response`].
    Refused,
    /// The response is 101 without the right `Connection`, `Upgrade` or `Sec-WebSocket-Accept` (RFC
    /// 6455 4.1). The peer may not be a WebSocket server.
    NotAccepted,
    /// The server selected a subprotocol that was not offered.
    Protocol,
    /// The server selected an extension, or parameters, that were not offered.
    Extension,
    /// The server does not open WebSockets over HTTP/2 (RFC 8441 3): it does not send
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL. Connect with HTTP/1.1.
    NoExtendedConnect,
    /// The deadline passed.
    Deadline,
}

/// A failure, without the address.
pub(super) struct Failure {
    pub(super) kind: HandshakeErrorKind,
    pub(super) what: Cow<'static, str>,
    pub(super) source: Option<Box<dyn error::Error + Send + Sync>>,
    pub(super) response: Option<Box<Response<Bytes>>>,
}

impl Failure {
    pub(super) fn new(kind: HandshakeErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            what: what.into(),
            source: None,
            response: None,
        }
    }

    pub(super) fn invalid(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(HandshakeErrorKind::InvalidRequest, what)
    }

    pub(super) fn refused(response: Response<Bytes>) -> Self {
        Self {
            response: Some(Box::new(response)),
            ..Self::new(HandshakeErrorKind::Refused, "the server answered ")
        }
    }

    pub(super) fn at(self, address: impl fmt::Display) -> HandshakeError {
        HandshakeError(Box::new(Inner {
            address: address.to_string(),
            failure: self,
        }))
    }
}

/// An error of hyper's.
impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        use HandshakeErrorKind::{InvalidResponse, Io, TooLarge};
        let (kind, what) = if error.is_parse_too_large() {
            (TooLarge, "the head of the response is too large")
        } else if error.is_parse() {
            (InvalidResponse, "the response is not HTTP/1.1")
        } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            (Io, "the server ended the connection without a response")
        } else if error.is_user() {
            (
                HandshakeErrorKind::InvalidRequest,
                "the request cannot be sent",
            )
        } else {
            (Io, "the connection failed")
        };
        Self {
            source: Some(error.into()),
            ..Self::new(kind, what)
        }
    }
}

impl HandshakeError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> HandshakeErrorKind {
        self.0.failure.kind
    }

    /// The status of the response that [refused](HandshakeErrorKind::Refused) the handshake.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.response().map(Response::status)
    }

    /// The response that [refused](HandshakeErrorKind::Refused) the handshake, with the first bytes
    /// of its body: 4 KiB at most, and only those that came before the deadline.
    #[must_use]
    pub fn response(&self) -> Option<&Response<Bytes>> {
        self.0.failure.response.as_deref()
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { address, failure } = &*self.0;
        write!(f, "cannot open {address}: {}", failure.what)?;
        if let Some(response) = &failure.response {
            write!(f, "{}", response.status())?;
            // One line, whatever the server sent.
            let body = String::from_utf8_lossy(response.body());
            let line = body.lines().next().unwrap_or_default();
            let line: String = line.chars().take(120).collect();
            if !line.is_empty() {
                write!(f, ": {line:?}")?;
            }
        }
        match &failure.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeError")
            .field("kind", &self.kind())
            .field("message", &self.to_string())
            .finish()
    }
}

impl error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&**self.0.failure.source.as_ref()?)
    }
}

/// For code that expects the error of a socket.
impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        use HandshakeErrorKind as Kind;
        let kind = match error.kind() {
            Kind::InvalidRequest => io::ErrorKind::InvalidInput,
            Kind::Io => io::ErrorKind::UnexpectedEof,
            Kind::Refused => io::ErrorKind::PermissionDenied,
            Kind::NoExtendedConnect => io::ErrorKind::Unsupported,
            Kind::Deadline => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
