//! A wrapper that needs bytes must require `ByteTransport` and `ByteListener`.
use anyport::{Connection, Listener, transport::Connecting};
use std::{io, task::{Context, Poll}};

struct Counted<L> {
    inner: L,
}

impl<L: Listener> Listener for Counted<L> {
    type Connection = CountedConnection<L::Connection>;
    type Handshake = std::future::Pending<io::Result<Self::Connection>>;

    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        Poll::Pending
    }
}

struct CountedConnection<C> {
    inner: C,
}

impl<C: Connection> Connection for CountedConnection<C> {
    fn info(&self) -> &anyport::ConnInfo {
        self.inner.info()
    }
}

anyport::transport::delegate_io!(impl<C: [Connection]> for CountedConnection<C> => inner);

fn main() {}
