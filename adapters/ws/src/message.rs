//! Messages, and the frame that closes a WebSocket.
use bytes::Bytes;
use std::{fmt, ops::Deref, str::Utf8Error};

/// A message to send, or a received one.
///
/// `recv` returns [`Text`](Self::Text) and [`Binary`](Self::Binary), and [`Close`](Self::Close) if
/// the peer closes first. The WebSocket itself handles received pings and pongs.
/// [`Ping`](Self::Ping) and [`Pong`](Self::Pong) are for sending only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// A ping with at most 125 bytes.
    Ping(Bytes),
    /// A pong with at most 125 bytes.
    Pong(Bytes),
    /// Received: the peer closes the WebSocket. Sent: this end closes it.
    Close(Option<CloseFrame>),
}

impl Message {
    /// A text.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// Bytes.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// The payload: the bytes of a text, of a ping, or of the reason for a close.
    #[must_use]
    pub fn into_data(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes,
            Self::Close(frame) => frame.map(|frame| frame.reason.into()).unwrap_or_default(),
        }
    }

    /// Whether this is a [`Text`](Self::Text) or a [`Binary`](Self::Binary).
    #[must_use]
    pub fn is_data(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

/// The reason why a WebSocket is closed (RFC 6455 7.1.5 and 7.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The status code: one of [`close_code`], or one of the app's own from 3000 to 4999.
    pub code: u16,
    /// A text for people, of at most 123 bytes.
    pub reason: Utf8Bytes,
}

impl CloseFrame {
    /// A close with this code and this reason.
    pub fn new(code: u16, reason: impl Into<Utf8Bytes>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// The codes that an endpoint may send (RFC 6455 7.4.1, and the registry at IANA).
pub mod close_code {
    /// The purpose of the connection has been fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The server shuts down, or the browser leaves the page.
    pub const AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// The peer sent a type of data that is not accepted, such as bytes instead of text.
    pub const UNSUPPORTED: u16 = 1003;
    /// The data of a message does not fit its type: a text that is not UTF-8.
    pub const INVALID: u16 = 1007;
    /// The peer broke a rule that has no code of its own.
    pub const POLICY: u16 = 1008;
    /// A message is too large.
    pub const SIZE: u16 = 1009;
    /// A client wants an extension that the server lacks.
    pub const EXTENSION: u16 = 1010;
    /// The server met an unexpected condition.
    pub const ERROR: u16 = 1011;
    /// The server restarts.
    pub const RESTART: u16 = 1012;
    /// The server is overloaded: come back later.
    pub const AGAIN: u16 = 1013;

    /// Whether a close frame may have this code.
    pub(crate) fn is_allowed(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// Bytes that are valid UTF-8: a string that is cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utf8Bytes(tungstenite::Utf8Bytes);

impl Utf8Bytes {
    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Deref for Utf8Bytes {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl PartialEq<str> for Utf8Bytes {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Utf8Bytes {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Utf8Bytes> for Bytes {
    fn from(text: Utf8Bytes) -> Self {
        text.0.into()
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        bytes.try_into().map(Self)
    }
}
