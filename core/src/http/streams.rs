//! HTTP/2 streams run in tasks of their own: counted, and with their panics contained.
use crate::engine::{ConnState, InFlight, panics};
#[cfg(feature = "http2")]
use crate::{
    HttpService,
    http::{Call, Reply},
};
use hyper::rt::Executor;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The executor that hyper spawns a connection's streams on: the worker's, with each stream counted.
#[derive(Clone)]
pub struct Streams<R> {
    runtime: R,
    state: Arc<ConnState>,
}

impl<R> Streams<R> {
    #[cfg_attr(not(feature = "http2"), expect(dead_code, reason = "only HTTP/2 has streams"))]
    pub(super) fn new(runtime: R, state: Arc<ConnState>) -> Self {
        Self { runtime, state }
    }
}

impl<R, F> Executor<F> for Streams<R>
where
    R: Executor<StreamTask<F>>,
    F: Future<Output = ()>,
{
    fn execute(&self, future: F) {
        self.runtime.execute(StreamTask {
            future,
            in_flight: Some(self.state.in_flight()),
        });
    }
}

impl<R> fmt::Debug for Streams<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

/// What an executor needs to run the streams of a service over HTTP/2. Without the feature `http2`: nothing.
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

/// What an executor needs to run the streams of a service over HTTP/2. Without the feature `http2`: nothing.
#[cfg(not(feature = "http2"))]
pub trait SpawnStreams<S> {}
#[cfg(not(feature = "http2"))]
impl<S, E> SpawnStreams<S> for E {}

pin_project_lite::pin_project! {
    /// One HTTP/2 stream. A panic in it ends the stream.
    pub struct StreamTask<F> {
        #[pin]
        future: F,
        in_flight: Option<InFlight>,
    }

    impl<F> PinnedDrop for StreamTask<F> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(in_flight) = this.project().in_flight.take() {
                in_flight.end_elsewhere();
            }
        }
    }
}

impl<F: Future<Output = ()>> Future for StreamTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = self.project();
        let Some(in_flight) = me.in_flight else {
            return Poll::Ready(());
        };
        let connection = in_flight.connection();
        panics::catch(|| connection.in_span(|| me.future.poll(cx))).unwrap_or_else(|message| {
            connection.panicked(&message);
            Poll::Ready(())
        })
    }
}

impl<F> fmt::Debug for StreamTask<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTask").finish_non_exhaustive()
    }
}
