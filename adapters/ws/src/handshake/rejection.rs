//! The response to a request that does not become a WebSocket.
use anyport_core::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use std::{error, fmt};

/// The reason why a request does not become a WebSocket. It converts into the response:
/// `Response::from(rejection)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    what: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Rejection {
    pub(super) fn new(status: StatusCode, what: &'static str) -> Self {
        Self {
            status,
            what,
            header: None,
        }
    }

    pub(super) fn bad(what: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what)
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    pub(crate) fn no_runtime() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "a WebSocket cannot be served here: this thread has no runtime (on tokio, turn on anyport's feature `tokio`)\n",
        )
    }

    /// The status of the response: 400, 403, 405, 426 or 501, or 500 if the server itself is the
    /// cause.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn into_response<B: From<&'static str>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.what));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
        if self.status == StatusCode::UPGRADE_REQUIRED {
            // RFC 9110 15.5.22 and 7.8
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Rejection> for Response<Body> {
    fn from(rejection: Rejection) -> Self {
        rejection.into_response()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what.trim_end())
    }
}

impl error::Error for Rejection {}
