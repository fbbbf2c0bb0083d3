//! The error of a request, and of a response's body.
use crate::Origin;
use std::{error::Error as StdError, fmt, io, time::Duration};

/// The reason why a request failed, or why its response's body ended early.
///
/// Its `Display` is one line that says what happened, where, and what to do:
///
/// ```text
/// no connection to http://api.test became free within 30s; open connections: 10 (12 in all), other requests waiting: 25 (raise `max_per_origin`, or send fewer requests at once)
/// ```
///
/// Match on [`kind`](Self::kind): the wording may change.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be sent to any server, because its URI has no host, for example.
    InvalidRequest,
    /// No connection could be made. Nothing was sent.
    Connect,
    /// No connection became free in time. Nothing was sent.
    QueueTimeout,
    /// The head of the response did not come in time.
    HeadTimeout,
    /// The body of the response paused for too long.
    BodyTimeout,
    /// The deadline of the whole request passed.
    Timeout,
    /// The server closed the connection before its response was complete.
    Closed,
    /// The server refused the request before it processed it (HTTP/2). It can be sent again.
    Refused,
    /// The server broke the protocol: its response is no HTTP, for example.
    Protocol,
    /// The body of the request failed.
    RequestBody,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            text: text.into(),
            source: None,
        }))
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The factory's error. It names the target already, if it is one of a connector.
    pub(crate) fn connect(origin: &Origin, error: io::Error) -> Self {
        let text = match error.to_string() {
            text if text.starts_with("cannot connect to ") => text,
            text => format!("cannot connect to {origin}: {text}"),
        };
        Self::new(ErrorKind::Connect, text).with_source(error)
    }

    pub(crate) fn connect_timeout(origin: &Origin, limit: Duration) -> Self {
        let text = format!(
            "cannot connect to {origin} within {limit:?} (raise `connect_timeout` if it needs longer)"
        );
        Self::new(ErrorKind::Connect, text)
    }

    pub(crate) fn no_runtime(origin: &Origin) -> Self {
        let text = format!(
            "cannot connect to {origin}: the runtime of the client has ended (make a client for each runtime)"
        );
        Self::new(ErrorKind::Connect, text)
    }

    /// A limit of time passed.
    pub(crate) fn timeout(kind: ErrorKind, origin: &Origin, limit: Duration) -> Self {
        let text = match kind {
            ErrorKind::HeadTimeout => format!(
                "{origin} sent no response head within {limit:?} (raise `head_timeout` if it needs longer)"
            ),
            ErrorKind::BodyTimeout => format!(
                "{origin} paused for {limit:?} within a response body (raise `body_timeout` if it needs longer)"
            ),
            _ => format!(
                "the request to {origin} took longer than {limit:?} (raise `timeout` if it needs longer)"
            ),
        };
        Self::new(kind, text)
    }

    /// hyper's error, of a request or of a response's body.
    pub(crate) fn http(origin: &Origin, error: hyper::Error) -> Self {
        let cause = root(&error);
        let (kind, text) = if is_refused(&error) {
            let text =
                format!("{origin} refused the request before it was processed (send it again)");
            (ErrorKind::Refused, text)
        } else if error.is_parse() || error.is_parse_too_large() {
            let text = format!(
                "{origin} sent an invalid response: {cause} (is it an HTTP server of this version?)"
            );
            (ErrorKind::Protocol, text)
        } else if error.is_user() && !is_dropped(&error) {
            let text = format!("the body of the request to {origin} failed: {cause}");
            (ErrorKind::RequestBody, text)
        } else if is_reset_by_body(&error) {
            let text = format!(
                "the body of the request to {origin} failed (over HTTP/2, the error is not passed on)"
            );
            (ErrorKind::RequestBody, text)
        } else if is_end(&error, cause) {
            let text = format!(
                "{origin} closed the connection before its response was complete (try again if the request allows it)"
            );
            (ErrorKind::Closed, text)
        } else if is_io(cause) {
            let text = format!(
                "{origin} ended the connection: {cause} (try again if the request allows it)"
            );
            (ErrorKind::Closed, text)
        } else {
            let text = format!(
                "{origin} sent an invalid response: {cause} (is it an HTTP server of this version?)"
            );
            (ErrorKind::Protocol, text)
        };
        Self::new(kind, text).with_source(error)
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

/// The innermost error.
fn root<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// The server says that it did not process the request (RFC 9113, section 8.7).
pub(crate) fn is_refused(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

/// The connection ended before hyper opened a stream for the request: hyper has no other sign of
/// it.
pub(crate) fn is_dropped(error: &hyper::Error) -> bool {
    error.is_user() && error.to_string() == "dispatch task is gone"
}

/// hyper resets a stream of HTTP/2 when the request's body has failed.
fn is_reset_by_body(error: &hyper::Error) -> bool {
    h2_error(error)
        .is_some_and(|error| error.is_reset() && !error.is_remote() && !error.is_library())
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// The connection ended in the middle of a response.
fn is_end(error: &hyper::Error, cause: &(dyn StdError + 'static)) -> bool {
    let is_eof = |e: &io::Error| e.kind() == io::ErrorKind::UnexpectedEof;
    error.is_incomplete_message()
        || is_dropped(error)
        || error.is_canceled()
        || error.is_closed()
        || cause.downcast_ref().is_some_and(is_eof)
}

/// An error of the connection. hyper reports an invalid chunk as one of two other kinds.
fn is_io(cause: &(dyn StdError + 'static)) -> bool {
    let is_invalid = |e: &io::Error| {
        matches!(
            e.kind(),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
        )
    };
    cause.downcast_ref().is_some_and(|error| !is_invalid(error))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// The same line, and below it the sources that the line does not quote.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)?;
        let mut source = self.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !self.0.text.contains(&text) {
                write!(f, "\n  caused by: {text}")?;
            }
            source = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}
