//! The server's response in the app's place.
use super::request_context::RequestContext;
use crate::{error::BoxError, runtime::panics};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};

/// The reason why the server answers in the app's place.
pub(super) enum Refusal {
    BadRequest(&'static str),
    /// The server does not support what the request needs.
    NotImplemented(&'static str),
    /// The service failed in `poll_ready`.
    NotReady,
    /// The service returned an error.
    Err(BoxError),
    /// The service panicked.
    Failed,
    /// The service took longer than the request timeout.
    TooSlow,
}

impl Refusal {
    /// The response. Its body is one line for people.
    pub(super) fn response(&self, context: &RequestContext) -> Response<&'static str> {
        let (status, text) = match self {
            Self::BadRequest(wrong) => (StatusCode::BAD_REQUEST, *wrong),
            Self::NotImplemented(what) => (StatusCode::NOT_IMPLEMENTED, *what),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "the app is not ready\n"),
            Self::Err(error) => (status_of(error, context), "the app failed\n"),
            Self::TooSlow => (StatusCode::GATEWAY_TIMEOUT, "the app took too long\n"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "the app failed\n"),
        };
        let mut response = Response::new(text);
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    }
}

/// The status for an error of the app. Whatever the hook returns, the status is a 4xx or 5xx.
fn status_of(error: &BoxError, context: &RequestContext) -> StatusCode {
    let Some(status_of) = context
        .connection()
        .and_then(|connection| connection.config().http.status_of.as_ref())
    else {
        return StatusCode::INTERNAL_SERVER_ERROR;
    };
    match panics::catch(|| status_of(error)) {
        Ok(status) if status.is_client_error() || status.is_server_error() => status,
        Ok(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Err(message) => {
            context.panicked(&message);
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
