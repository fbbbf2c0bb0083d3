//! Seeded regressions. The tests show that `--check` finds each.

use anyport::{
    ConnInfo, Listener, Transport,
    runtime::{Tokio, TokioIo, Worker},
    transport::{Conn, Connecting, Endpoint},
};
use std::{
    future::Ready,
    hint::black_box,
    io,
    net::{self, SocketAddr},
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// A regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// Reads have 2 KiB at most.
    SmallReads,
    /// One more allocation per request.
    Allocation,
    /// One more system call per request.
    Syscall,
    /// 8 KiB per request that are never freed, as if the idle connection kept them.
    IdleMemory,
}

static FAULT: OnceLock<Fault> = OnceLock::new();

impl Fault {
    /// Enables this fault for the whole process.
    pub(crate) fn enable(self) {
        // Called once.
        let _ = FAULT.set(self);
    }
}

/// Whether reads are small.
pub(crate) fn has_small_reads() -> bool {
    FAULT.get() == Some(&Fault::SmallReads)
}

/// Called for each request.
pub(crate) fn apply_to_request() {
    match FAULT.get() {
        Some(Fault::Allocation) => drop(black_box(Box::new([0_u8; 64]))),
        Some(Fault::Syscall) => drop(black_box(rustix::process::getppid())),
        Some(Fault::IdleMemory) => drop(black_box(Box::leak(Box::new([1_u8; 8 * 1024])))),
        Some(Fault::SmallReads) | None => {}
    }
}

/// TCP whose reads have 2 KiB at most.
#[derive(Clone, Debug)]
pub(crate) struct SmallReads(pub(crate) SocketAddr);

impl Transport for SmallReads {
    type Runtime = Tokio;
    type Socket = net::TcpListener;
    type Listener = SmallReadsListener;

    fn open(&self, _: usize) -> anyport::Result<Vec<net::TcpListener>> {
        let open = net::TcpListener::bind(self.0).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(vec![listener])
        });
        open.map_err(|error| anyport::Error::bind(format_args!("{}", self.0), error))
    }

    fn endpoint(&self, socket: &net::TcpListener) -> io::Result<Endpoint> {
        Ok(socket.local_addr()?.into())
    }

    fn listen(&self, socket: net::TcpListener, _: &Worker) -> io::Result<SmallReadsListener> {
        Ok(SmallReadsListener {
            local: socket.local_addr()?.into(),
            listener: TcpListener::from_std(socket)?,
        })
    }
}

pub(crate) struct SmallReadsListener {
    listener: TcpListener,
    local: Endpoint,
}

impl Listener for SmallReadsListener {
    type Connection = Conn<TokioIo<SmallReadsStream>>;
    type Handshake = Ready<io::Result<Self::Connection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        self.listener.poll_accept(cx).map_ok(|(stream, peer)| {
            let info = ConnInfo::new(peer, self.local.clone());
            Connecting::ready(Conn::new(TokioIo::new(SmallReadsStream(stream)), info))
        })
    }
}

pub(crate) struct SmallReadsStream(TcpStream);

impl AsyncRead for SmallReadsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 2048];
        let size = bytes.len().min(buffer.remaining());
        let mut small = ReadBuf::new(&mut bytes[..size]);
        let read = Pin::new(&mut self.0).poll_read(cx, &mut small);
        buffer.put_slice(small.filled());
        read
    }
}

impl AsyncWrite for SmallReadsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
