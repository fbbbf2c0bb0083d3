//! Accepts connections once glommio's reactor reports that the listening socket is readable.
use crate::{GlommioConnection, watch::Watch};
use anyport_core::{ConnInfo, PeerCred, Worker, socket::Acceptor};
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

/// Waits for clients at a listening socket, and makes glommio's streams of them.
///
/// glommio's own listener takes four system calls for each client, and lets connections stay open
/// in processes that the app starts.
#[derive(Debug)]
pub struct GlommioAcceptor {
    /// An epoll instance, which is readable when the socket is. The kernel keeps open whatever the
    /// reactor waits for until that's told to wait no longer; the socket has to be closed, and its
    /// address free, as soon as the listener is dropped.
    readiness: OwnedFd,
    wait: Watch,
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
            wait: Watch::default(),
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
        let info = match getsockopt(&stream, PeerCredentials) {
            Ok(cred) => info.with_peer_cred(PeerCred::from_kernel(
                Some(cred.pid()),
                cred.uid(),
                cred.gid(),
            )),
            Err(_) => info,
        };
        // It's called TCP's, but what it asks of a socket, those of all families do.
        let stream = TcpStream::from(Socket::from(stream));
        Ok(GlommioConnection::new(stream, info))
    }
}
