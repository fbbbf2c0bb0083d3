//! The response in place of a target's.
use crate::{Error, ErrorKind};
use anyport_core::Body;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use std::{error, fmt};

/// The reason why there is no response of the target. It converts into the response to the client:
/// `Response::from(rejection)`.
///
/// | cause | status |
/// |---|---|
/// | the request cannot be forwarded | 400, 501 |
/// | the body of the request failed | 400 |
/// | the target cannot be reached, closes the connection, or breaks a rule of HTTP | 502 |
/// | no connection to the target became free in time | 503 |
/// | the response did not come in time | 504 |
///
/// The response does not name the target. The [source](error::Error::source) is the client's error,
/// which does.
#[derive(Debug)]
pub struct Rejection {
    status: StatusCode,
    what: &'static str,
    source: Option<Error>,
}

impl Rejection {
    /// A fault of the client's request.
    pub(super) fn request(status: StatusCode, what: &'static str) -> Self {
        Self {
            status,
            what,
            source: None,
        }
    }

    /// A fault of the target's response.
    pub(super) fn response(what: &'static str) -> Self {
        Self::request(StatusCode::BAD_GATEWAY, what)
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        let (status, what) = match error.kind() {
            ErrorKind::RequestBody => (StatusCode::BAD_REQUEST, "the body of the request failed"),
            ErrorKind::QueueTimeout => {
                let what = "the target has too many requests";
                (StatusCode::SERVICE_UNAVAILABLE, what)
            }
            ErrorKind::HeadTimeout | ErrorKind::Timeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "the target did not respond in time",
            ),
            ErrorKind::Connect => (StatusCode::BAD_GATEWAY, "the target cannot be reached"),
            _ => (StatusCode::BAD_GATEWAY, "the target did not respond"),
        };
        Self {
            status,
            what,
            source: Some(error),
        }
    }
}

impl From<Rejection> for Response<Body> {
    fn from(rejection: Rejection) -> Self {
        let mut response = Self::new(Body::from(format!("{rejection}\n")));
        *response.status_mut() = rejection.status;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        response
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl error::Error for Rejection {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
