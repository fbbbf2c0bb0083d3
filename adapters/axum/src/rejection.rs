//! The rejections of the extractors.
use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use std::fmt;

/// Why an extractor of this crate has nothing to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionRejection {
    /// Nothing put the facts of the connection into the request: the program's mistake, answered
    /// 500.
    NoConnInfo,
    /// The handler is for TLS only, and the connection has none: 403.
    NoTls,
    /// The handler is for local users only, and the connection can't tell who its peer is: 403.
    NoCredentials,
}

impl ConnectionRejection {
    /// At DEBUG, although it's the program's mistake: it happens once per request, and so as often
    /// as peers like.
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
                "this handler asks about its connection, but nothing told the request of it: serve `app(router)` of \
                 anyport-axum (`anyport::axum::app`) instead of `router`; with `axum::serve`, serve \
                 `router.into_make_service_with_connect_info::<ConnectionInfo>()`"
            }
            Self::NoTls => "this is served over TLS only",
            Self::NoCredentials => "this is served over Unix sockets only, where the kernel tells who asks",
        })
    }
}

impl std::error::Error for ConnectionRejection {}

impl IntoResponse for ConnectionRejection {
    fn into_response(self) -> Response<Body> {
        (self.status(), self.to_string()).into_response()
    }
}
