//! Counts the bytes that a server writes, over any transport.
use anyport::{
    Connection,
    transport::{Intercept, Intercepted, MapFn, Writer},
};
use std::{
    io::{self, IoSlice},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

/// The number of bytes that all connections together have written.
#[derive(Clone, Debug, Default)]
pub struct Counter(pub Arc<AtomicU64>);

impl<C: Connection> Intercept<C> for Counter {
    fn poll_write(
        &mut self,
        inner: Writer<'_, C>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = inner.poll_write(cx, bufs);
        if let Poll::Ready(Ok(bytes)) = written {
            self.0.fetch_add(bytes as u64, Relaxed);
        }
        written
    }
}

impl<C: Connection> MapFn<C> for Counter {
    type Output = Intercepted<C, Self>;

    fn map(&self, inner: C) -> Self::Output {
        Intercepted::new(inner, self.clone())
    }
}
