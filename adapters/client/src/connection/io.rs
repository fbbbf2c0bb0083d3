//! The stream of a connection as hyper gets it.
use super::ConnState;
use anyport_core::Connection;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// The stream of a connection as hyper gets it: an upgraded one is downcast to it. The connection
/// counts against the client's caps until this is dropped.
pub struct ClientIo<C> {
    connection: C,
    conn_state: Arc<ConnState>,
}

impl<C: Connection> ClientIo<C> {
    pub(super) fn new(connection: C, conn_state: Arc<ConnState>) -> Self {
        Self {
            connection,
            conn_state,
        }
    }

    /// The connection.
    pub fn connection(&self) -> &C {
        &self.connection
    }
}

impl<C> Drop for ClientIo<C> {
    fn drop(&mut self) {
        self.conn_state.close();
    }
}

impl<C: Connection> Read for ClientIo<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.conn_state.on_io();
        ready!(Pin::new(&mut self.connection).poll_read(cx, buf))?;
        self.conn_state.on_read();
        Poll::Ready(Ok(()))
    }
}

impl<C: Connection> Write for ClientIo<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.conn_state.on_io();
        Pin::new(&mut self.connection).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.conn_state.on_io();
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.conn_state.on_io();
        Pin::new(&mut self.connection).poll_write_vectored(cx, bufs)
    }
}

impl<C> fmt::Debug for ClientIo<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIo").finish_non_exhaustive()
    }
}
