//! The rejections of the extractors.
use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use std::fmt;

/// The reason why an extractor of this crate failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionRejection {
    /// The request lacks the facts of its connection. This is a mistake of the program: 500.
    NoConnInfo,
    /// The handler requires TLS, and the connection has none: 403.
    NoTls,
    /// The handler requires credentials, and the connection has none: 403.
    NoCredentials,
}

impl ConnectionRejection {
    /// This is logged at DEBUG, although it is a mistake of the program: peers decide how often it
    /// occurs.
    pub(crate) fn no_conn_info() -> Self {
        let rejection = Self::NoConnInfo;
        #[cfg(feature = "tracing")]
        tracing::debug!(target: "anyport", status = 500, "{rejection}");
        rejection
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NoConnInfo => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoTls | Self::NoCredentials => StatusCode::FORBIDDEN,
        }
    }
}

impl fmt::Display for ConnectionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConnInfo => {
                "this handler uses facts of its connection, but the request lacks them: serve `app(router)` of \
                 anyport-axum (`anyport::axum::app`) instead of `router`; with `axum::serve`, serve \
                 `router.into_make_service_with_connect_info::<ConnectionInfo>()`"
            }
            Self::NoTls => "this resource requires TLS",
            Self::NoCredentials => "this resource requires a Unix socket, where the kernel identifies the peer",
        })
    }
}

impl std::error::Error for ConnectionRejection {}

impl IntoResponse for ConnectionRejection {
    fn into_response(self) -> Response<Body> {
        (self.status(), self.to_string()).into_response()
    }
}
