//! An encrypted connection.
use crate::below::Below;
use anyport_core::{ConnInfo, Connection, PeerState, Permit, TlsInfo, TlsVersion};
use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use std::{
    fmt,
    io::{self, BufRead, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncBufRead;
use tokio_rustls::server::TlsStream;

/// An encrypted connection.
///
/// Several slices that are written at once leave as one record, as far as they fit into 16 KiB.
/// Shutting it down says so to the peer (`close_notify`), and a peer that said so is at its end;
/// one that just went is an error of kind [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) (RFC 8446
/// 6.1).
pub struct TlsConnection<C> {
    // In a box: the session is large, and a connection that waits shall be small.
    stream: Box<TokioIo<Stream<C>>>,
    info: ConnInfo,
    /// Somebody waits to write.
    is_blocked: bool,
    /// What was written is being sent by whoever waits to read.
    is_sending: bool,
}

/// What fits into a record (RFC 8446 5.1).
const FULL: usize = 16 * 1024;

/// As much is decrypted by one read: more than that falls out of the processor's caches before it's
/// looked at.
const MOST: usize = 128 * 1024;

type Stream<C> = TlsStream<TokioIo<Below<C>>>;

impl<C: Connection> TlsConnection<C> {
    pub(crate) fn new(stream: Stream<C>) -> Self {
        let (io, session) = stream.get_ref();
        let info = io.inner().io.info().clone().with_tls(facts(session));
        Self {
            info: match session.alpn_protocol() {
                Some(b"h2") => info.with_alpn(Bytes::from_static(b"h2")),
                Some(b"http/1.1") => info.with_alpn(Bytes::from_static(b"http/1.1")),
                Some(other) => info.with_alpn(other.to_vec()),
                None => info,
            },
            stream: Box::new(TokioIo::new(stream)),
            is_blocked: false,
            is_sending: false,
        }
    }

    /// The connection below, to ask it something.
    pub fn inner(&self) -> &C {
        &self.stream.inner().get_ref().0.inner().io
    }

    /// A write is done when the session has taken it, and what's left in there goes on when
    /// somebody flushes. Not everybody does who then waits to read, so it goes on here, too. An
    /// error is found again by who writes; and whoever waits to write sends it himself.
    #[inline]
    fn send_the_rest(&mut self, cx: &mut Context<'_>) {
        if (self.is_sending || self.session().wants_write()) && !self.is_blocked {
            self.flush_for_the_writer(cx);
        }
    }

    #[cold]
    fn flush_for_the_writer(&mut self, cx: &mut Context<'_>) {
        // Not only out of this session: what's below may hold some, too.
        self.is_sending = Pin::new(&mut *self.stream).poll_flush(cx).is_pending();
    }

    /// The session, to ask it something.
    pub fn session(&self) -> &ServerConnection {
        self.stream.inner().get_ref().1
    }
}

/// What a finished handshake agreed on.
fn facts(session: &ServerConnection) -> TlsInfo {
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
    if let Some(name) = session.server_name() {
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

impl<C: Connection> Connection for TlsConnection<C> {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (below, session) = self.stream.inner_mut().get_mut();
        let polled = match session.reader().fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Pin::new(&mut below.inner_mut().io).poll_readable(cx)
            }
            // Decrypted already; or the end; or what a read will fail with.
            _ => Poll::Ready(Ok(())),
        };
        if polled.is_pending() {
            self.send_the_rest(cx);
        }
        polled
    }

    fn peer_state(&mut self) -> PeerState {
        let (below, session) = self.stream.inner_mut().get_mut();
        match below.inner_mut().io.peer_state() {
            // What has been decrypted waits here.
            PeerState::HalfClosed
                if session
                    .reader()
                    .fill_buf()
                    .is_ok_and(|bytes| !bytes.is_empty()) =>
            {
                PeerState::Open
            }
            state => state,
        }
    }

    /// What the session has encrypted already is sent first.
    fn poll_retry_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.stream;
        stream.inner_mut().get_mut().0.inner_mut().retry();
        match bufs {
            [] => Pin::new(&mut **stream).poll_flush(cx).map_ok(|()| 0),
            bufs => Pin::new(&mut **stream).poll_write_vectored(cx, bufs),
        }
    }

    fn bytes_sent(&self) -> Option<u64> {
        Some(self.stream.inner().get_ref().0.inner().sent)
    }

    fn reset(&mut self) {
        self.stream.inner_mut().get_mut().0.inner_mut().io.reset();
    }

    fn release(mut self: Pin<&mut Self>, permit: Permit) {
        let (below, _) = self.stream.inner_mut().get_mut();
        Pin::new(&mut below.inner_mut().io).release(permit);
    }
}

impl<C: Connection> Read for TlsConnection<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Every other read finds nothing, and rustls would find that out at length.
        ready!(self.as_mut().poll_readable(cx))?;
        let mut stream = Pin::new(self.stream.inner_mut());
        match read_record(stream.as_mut(), cx, &mut buf)? {
            Poll::Ready(taken) if taken >= FULL => read_more(stream, cx, &mut buf),
            Poll::Ready(_) => {}
            Poll::Pending => {
                self.send_the_rest(cx);
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads what one record holds, as far as there's room.
#[inline]
fn read_record<C: Connection>(
    mut stream: Pin<&mut Stream<C>>,
    cx: &mut Context<'_>,
    buf: &mut ReadBufCursor<'_>,
) -> Poll<io::Result<usize>> {
    let decrypted = ready!(stream.as_mut().poll_fill_buf(cx))?;
    let taken = decrypted.len().min(buf.remaining());
    buf.put_slice(&decrypted[..taken]);
    stream.consume(taken);
    Poll::Ready(Ok(taken))
}

/// Reads on behind a full record: who sends one, sends more, and a body comes in pieces as large as
/// there's room for. Behind a record that is not full, to look for more would be a system call for
/// nothing.
#[cold]
fn read_more<C: Connection>(
    mut stream: Pin<&mut Stream<C>>,
    cx: &mut Context<'_>,
    buf: &mut ReadBufCursor<'_>,
) {
    let mut total = FULL;
    while total < MOST && buf.remaining() > 0 {
        match read_record(stream.as_mut(), cx, buf) {
            Poll::Ready(Ok(taken)) if taken >= FULL => total += taken,
            // An error is found again by the next read.
            _ => return,
        }
    }
}

impl<C: Connection> TlsConnection<C> {
    #[inline]
    fn write_with<T>(
        &mut self,
        write: impl FnOnce(Pin<&mut TokioIo<Stream<C>>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = write(Pin::new(&mut self.stream));
        self.is_blocked = polled.is_pending();
        polled
    }
}

impl<C: Connection> Write for TlsConnection<C> {
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

impl<C: Connection> fmt::Debug for TlsConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsConnection").field(&self.info).finish()
    }
}
