//! What a request and its response know of the connection that they belong to.
use super::{detect::Version, turn::Answering};
use crate::engine::ConnState;
use hyper::upgrade::OnUpgrade;
use std::{sync::Arc, time::Duration};

/// The connection that a request belongs to; held to the end of its response.
///
/// An HTTP/1 connection polls its requests itself, one after another, so most of them need no reference to it.
pub(super) struct Owner {
    /// HTTP/1. An HTTP/2 stream counts by itself.
    answering: Option<Answering>,
    /// For those that need more than that.
    connection: Option<Arc<ConnState>>,
}

impl Owner {
    pub(super) fn new<B>(request: &http::Request<B>, connection: &Arc<ConnState>, version: Version) -> Self {
        let config = &connection.worker.shared.config;
        let is_known = version == Version::Http2
            || may_upgrade(request)
            || config.timeouts.request < Duration::MAX
            || config.http.status_of.is_some();
        Self {
            answering: (version == Version::Http1).then(Answering::begin),
            connection: is_known.then(|| Arc::clone(connection)),
        }
    }

    /// The connection, if it's an HTTP/2 stream's, may be upgraded, or has a hook or a deadline for requests.
    pub(super) fn connection(&self) -> Option<&ConnState> {
        self.connection.as_deref()
    }

    /// Whether it's an HTTP/2 stream, in a task of its own.
    pub(super) fn is_stream(&self) -> bool {
        self.answering.is_none()
    }

    /// Whether the response says so. HTTP/2 has a frame of its own for it.
    pub(super) fn tells_to_leave(&self) -> bool {
        self.answering.as_ref().is_some_and(Answering::tells_to_leave)
    }

    pub(super) fn panicked(&self, message: &str) {
        match (&self.connection, &self.answering) {
            (Some(connection), _) => connection.panicked(message),
            (None, Some(answering)) => answering.panicked(message),
            (None, None) => {}
        }
    }
}

/// Whether the connection may become something else by this request: hyper gives it a way to.
fn may_upgrade<B>(request: &http::Request<B>) -> bool {
    request.extensions().get::<OnUpgrade>().is_some() || request.method() == http::Method::CONNECT
}
