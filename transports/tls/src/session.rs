//! The rustls sessions of both sides, for what a connection needs of either.
use crate::counting_io::CountingIo;
use anyport_core::Connection;
use hyper_util::rt::TokioIo;
use rustls::{ClientConnection, CommonState, Reader, ServerConnection};
use std::ops::Deref;
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio_rustls::{client, server};

/// The rustls session of one side of a [`TlsConnection`](crate::TlsConnection): a
/// [`ServerConnection`] or a [`ClientConnection`].
pub trait Session: Deref<Target: Deref<Target = CommonState>> + Sealed + Sized + 'static {
    /// The stream of tokio-rustls.
    #[doc(hidden)]
    type Stream<C: Connection>: AsyncBufRead + AsyncWrite + Unpin + Send + 'static;

    #[doc(hidden)]
    fn parts<C: Connection>(stream: &Self::Stream<C>) -> (&CountingIo<C>, &Self);

    /// The second part reads what is decrypted.
    #[doc(hidden)]
    fn parts_mut<C: Connection>(stream: &mut Self::Stream<C>) -> (&mut CountingIo<C>, Reader<'_>);
}

#[doc(hidden)]
pub trait Sealed {}

impl Sealed for ServerConnection {}
impl Sealed for ClientConnection {}

impl Session for ServerConnection {
    type Stream<C: Connection> = server::TlsStream<TokioIo<CountingIo<C>>>;

    #[inline]
    fn parts<C: Connection>(stream: &Self::Stream<C>) -> (&CountingIo<C>, &Self) {
        let (io, session) = stream.get_ref();
        (io.inner(), session)
    }

    #[inline]
    fn parts_mut<C: Connection>(stream: &mut Self::Stream<C>) -> (&mut CountingIo<C>, Reader<'_>) {
        let (io, session) = stream.get_mut();
        (io.inner_mut(), session.reader())
    }
}

impl Session for ClientConnection {
    type Stream<C: Connection> = client::TlsStream<TokioIo<CountingIo<C>>>;

    #[inline]
    fn parts<C: Connection>(stream: &Self::Stream<C>) -> (&CountingIo<C>, &Self) {
        let (io, session) = stream.get_ref();
        (io.inner(), session)
    }

    #[inline]
    fn parts_mut<C: Connection>(stream: &mut Self::Stream<C>) -> (&mut CountingIo<C>, Reader<'_>) {
        let (io, session) = stream.get_mut();
        (io.inner_mut(), session.reader())
    }
}
