//! The bound on executors that can run the streams of a service.
#[cfg(feature = "http2")]
use super::{Call, Reply};
#[cfg(feature = "http2")]
use crate::app::HttpService;

/// The bound on an executor that runs the streams of a service over HTTP/2. Without the feature
/// `http2`, it is empty.
#[cfg(feature = "http2")]
pub trait SpawnStreams<S: HttpService>:
    hyper::rt::bounds::Http2ServerConnExec<Call<S>, Reply<S::ResBody>> + Unpin
{
}
#[cfg(feature = "http2")]
impl<S: HttpService, E: hyper::rt::bounds::Http2ServerConnExec<Call<S>, Reply<S::ResBody>> + Unpin>
    SpawnStreams<S> for E
{
}

/// The bound on an executor that runs the streams of a service over HTTP/2. Without the feature
/// `http2`, it is empty.
#[cfg(not(feature = "http2"))]
pub trait SpawnStreams<S> {}
#[cfg(not(feature = "http2"))]
impl<S, E> SpawnStreams<S> for E {}
