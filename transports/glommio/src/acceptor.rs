//! Accepts connections once glommio's reactor reports that the listening socket is readable.
use crate::{GlommioConnection, readiness::Readiness};
use anyport_core::{ConnInfo, runtime::Worker, socket::Acceptor, transport::PeerCred};
use glommio::net::TcpStream;
use glommio_socket2::Socket;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::{
    io, net,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    task::{Context, Poll},
};

/// Waits until a listening socket has clients, and turns their sockets into glommio streams.
///
/// glommio's own listener takes four system calls per client, and its connections are inherited by
/// processes that the app starts.
#[derive(Debug)]
pub struct GlommioAcceptor {
    /// An epoll instance, which is readable when the listening socket is. The kernel keeps a
    /// descriptor open for as long as the reactor polls it. The socket must be closed, and its
    /// address free, as soon as the listener is dropped.
    readiness: OwnedFd,
    wait: Readiness,
}

impl Acceptor for GlommioAcceptor {
    type Driver = ();
    type Tcp = GlommioConnection;
    type Unix = GlommioConnection;

    fn new(socket: BorrowedFd<'_>, _inherited: bool, _: &Worker) -> io::Result<Self> {
        let readiness = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&readiness, socket, EventData::new_u64(0), EventFlags::IN)?;
        Ok(Self {
            readiness,
            wait: Readiness::default(),
        })
    }

    fn is_waiting(&self) -> bool {
        self.wait.is_armed()
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wait.poll_readable(&self.readiness, cx)
    }

    fn tcp(&self, stream: net::TcpStream, info: ConnInfo) -> io::Result<GlommioConnection> {
        Ok(GlommioConnection::new(
            TcpStream::from(Socket::from(stream)),
            info,
        ))
    }

    fn unix(&self, stream: UnixStream, info: ConnInfo) -> io::Result<GlommioConnection> {
        let info = with_peer_cred(info, &stream);
        // glommio's `TcpStream` works with sockets of all families.
        let stream = TcpStream::from(Socket::from(stream));
        Ok(GlommioConnection::new(stream, info))
    }
}

/// Adds the process at the other end of a Unix stream.
pub(crate) fn with_peer_cred(info: ConnInfo, stream: &UnixStream) -> ConnInfo {
    match getsockopt(stream, PeerCredentials) {
        Ok(cred) => info.with_peer_cred(PeerCred::from_kernel(
            Some(cred.pid()),
            cred.uid(),
            cred.gid(),
        )),
        Err(_) => info,
    }
}
