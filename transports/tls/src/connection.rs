//! An encrypted connection.
use crate::session::Session;
use anyport_core::{
    ConnInfo, Connection,
    transport::{PeerState, Permit, TlsInfo, TlsVersion},
};
use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConnection, HandshakeKind, ProtocolVersion, ServerConnection, pki_types::ServerName,
};
use std::{
    fmt,
    io::{self, BufRead, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncBufRead;

/// An encrypted connection. `S` is the rustls session of this side: a server's by default, or a
/// [`ClientConnection`].
///
/// Slices of one vectored write are sent as one record, as far as they fit into 16 KiB. Shutdown
/// sends a `close_notify` alert. A peer's `close_notify` is the end of its data. A peer that closes
/// without one causes an error of kind [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) (RFC 8446
/// 6.1).
pub struct TlsConnection<C: Connection, S: Session = ServerConnection> {
    // Boxed: the session is large, and an idle connection must be small.
    stream: Box<TokioIo<S::Stream<C>>>,
    info: ConnInfo,
    /// A write is pending.
    is_write_blocked: bool,
    /// Written bytes are being sent by the task that waits to read.
    is_flushing: bool,
}

/// How much data fits into a record (RFC 8446 5.1).
const MAX_RECORD_BYTES: usize = 16 * 1024;

/// The maximum number of bytes that one read decrypts. More would leave the processor's caches
/// before the caller uses it.
const MAX_READ_BYTES: usize = 128 * 1024;

impl<C: Connection> TlsConnection<C> {
    pub(crate) fn new(stream: <ServerConnection as Session>::Stream<C>) -> Self {
        let name = stream.get_ref().1.server_name().map(Box::from);
        Self::from_stream(stream, name)
    }
}

impl<C: Connection> TlsConnection<C, ClientConnection> {
    pub(crate) fn new_client(
        stream: <ClientConnection as Session>::Stream<C>,
        name: &ServerName<'_>,
    ) -> Self {
        // An IP address is not sent (RFC 6066 3).
        let name = match name {
            ServerName::DnsName(name) => Some(Box::from(name.as_ref())),
            _ => None,
        };
        Self::from_stream(stream, name)
    }
}

impl<C: Connection, S: Session> TlsConnection<C, S> {
    /// `name`: the server name that the client has sent.
    fn from_stream(mut stream: S::Stream<C>, name: Option<Box<str>>) -> Self {
        let (_, session) = S::parts(&stream);
        let (tls, alpn) = (tls_info(session, name), alpn(session));
        let add_facts = |info: &mut ConnInfo| {
            info.set_tls(tls);
            if let Some(alpn) = alpn {
                info.set_alpn(alpn);
            }
        };
        let io = &mut S::parts_mut(&mut stream).0.io;
        // Both connections share the facts where that is possible: it saves a copy of them.
        let info = match io.info_mut() {
            Some(info) => {
                add_facts(info);
                info.clone()
            }
            None => {
                let mut info = io.info().clone();
                add_facts(&mut info);
                info
            }
        };
        Self {
            info,
            stream: Box::new(TokioIo::new(stream)),
            is_write_blocked: false,
            is_flushing: false,
        }
    }

    /// The connection of the inner transport.
    pub fn inner(&self) -> &C {
        &S::parts(self.stream.inner()).0.io
    }

    /// Sends what the session holds while a read is pending. A write is ready as soon as the
    /// session has taken the bytes, and some callers then wait to read without a flush. A pending
    /// write sends these bytes itself. An error of this flush is returned by the next write.
    #[inline]
    fn flush_pending(&mut self, cx: &mut Context<'_>) {
        if (self.is_flushing || self.session().wants_write()) && !self.is_write_blocked {
            self.flush_session(cx);
        }
    }

    #[cold]
    fn flush_session(&mut self, cx: &mut Context<'_>) {
        // The inner transport may hold bytes as well, so this flushes both.
        self.is_flushing = Pin::new(&mut *self.stream).poll_flush(cx).is_pending();
    }

    /// The rustls session.
    pub fn session(&self) -> &S {
        S::parts(self.stream.inner()).1
    }
}

fn alpn<S: Session>(session: &S) -> Option<Bytes> {
    Some(match session.alpn_protocol()? {
        b"h2" => Bytes::from_static(b"h2"),
        b"http/1.1" => Bytes::from_static(b"http/1.1"),
        other => Bytes::copy_from_slice(other),
    })
}

fn tls_info<S: Session>(session: &S, name: Option<Box<str>>) -> TlsInfo {
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
        _ => TlsVersion::Tls13,
    };
    let suite = session.negotiated_cipher_suite();
    let suite = suite
        .and_then(|suite| suite.suite().as_str())
        .unwrap_or("unknown");
    let mut tls = TlsInfo::new(version, suite)
        .with_resumed(session.handshake_kind() == Some(HandshakeKind::Resumed));
    if let Some(name) = name {
        tls = tls.with_server_name(name);
    }
    if let Some(chain) = session.peer_certificates() {
        let chain: Box<[Bytes]> = chain
            .iter()
            .map(|der| Bytes::copy_from_slice(der))
            .collect();
        tls = tls.with_peer_certificates(chain);
    }
    tls
}

impl<C: Connection, S: Session> Connection for TlsConnection<C, S> {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn info_mut(&mut self) -> Option<&mut ConnInfo> {
        Some(&mut self.info)
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (inner, mut decrypted) = S::parts_mut(self.stream.inner_mut());
        let polled = match decrypted.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Pin::new(&mut inner.io).poll_readable(cx)
            }
            // Decrypted bytes, the end, or an error, all of which a read returns.
            _ => Poll::Ready(Ok(())),
        };
        if polled.is_pending() {
            self.flush_pending(cx);
        }
        polled
    }

    fn peer_state(&mut self) -> PeerState {
        let (inner, mut decrypted) = S::parts_mut(self.stream.inner_mut());
        match inner.io.peer_state() {
            // Decrypted bytes have not been read yet.
            PeerState::HalfClosed if decrypted.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) => {
                PeerState::Open
            }
            state => state,
        }
    }

    /// Sends what the session has encrypted already, then `bufs`.
    fn poll_retry_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        S::parts_mut(stream.inner_mut()).0.retry_next_write();
        match bufs {
            [] => Pin::new(&mut **stream).poll_flush(cx).map_ok(|()| 0),
            bufs => Pin::new(&mut **stream).poll_write_vectored(cx, bufs),
        }
    }

    fn bytes_sent(&self) -> Option<u64> {
        Some(S::parts(self.stream.inner()).0.sent)
    }

    fn reset(&mut self) {
        S::parts_mut(self.stream.inner_mut()).0.io.reset();
    }

    fn release(mut self: Pin<&mut Self>, permit: Permit) {
        let (inner, _) = S::parts_mut(self.stream.inner_mut());
        Pin::new(&mut inner.io).release(permit);
    }
}

impl<C: Connection, S: Session> Read for TlsConnection<C, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Half of all reads find nothing, and rustls takes a long time to report that.
        ready!(self.as_mut().poll_readable(cx))?;
        let mut stream = Pin::new(self.stream.inner_mut());
        match read_record(stream.as_mut(), cx, &mut buf)? {
            Poll::Ready(taken) if taken >= MAX_RECORD_BYTES => read_more(stream, cx, &mut buf),
            Poll::Ready(_) => {}
            Poll::Pending => {
                self.flush_pending(cx);
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads the decrypted bytes of one record, as far as they fit.
#[inline]
fn read_record<T: AsyncBufRead>(
    mut stream: Pin<&mut T>,
    cx: &mut Context<'_>,
    buf: &mut ReadBufCursor<'_>,
) -> Poll<io::Result<usize>> {
    let decrypted = ready!(stream.as_mut().poll_fill_buf(cx))?;
    let taken = decrypted.len().min(buf.remaining());
    buf.put_slice(&decrypted[..taken]);
    stream.consume(taken);
    Poll::Ready(Ok(taken))
}

/// Reads further records after a full one, because a body usually follows in more of them. After a
/// record that is not full, another attempt would cost a system call for nothing.
#[cold]
fn read_more<T: AsyncBufRead>(
    mut stream: Pin<&mut T>,
    cx: &mut Context<'_>,
    buf: &mut ReadBufCursor<'_>,
) {
    let mut total = MAX_RECORD_BYTES;
    while total < MAX_READ_BYTES && buf.remaining() > 0 {
        match read_record(stream.as_mut(), cx, buf) {
            Poll::Ready(Ok(taken)) if taken >= MAX_RECORD_BYTES => total += taken,
            // The next read returns the error.
            _ => return,
        }
    }
}

impl<C: Connection, S: Session> TlsConnection<C, S> {
    #[inline]
    fn write_with<T>(
        &mut self,
        write: impl FnOnce(Pin<&mut TokioIo<S::Stream<C>>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = write(Pin::new(&mut self.stream));
        self.is_write_blocked = polled.is_pending();
        polled
    }
}

impl<C: Connection, S: Session> Write for TlsConnection<C, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_with(|stream| stream.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_with(|stream| stream.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_with(|stream| stream.poll_write_vectored(cx, bufs))
    }
}

impl<C: Connection, S: Session> fmt::Debug for TlsConnection<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsConnection").field(&self.info).finish()
    }
}
