//! Accepts connections once the driver reports that the listening socket is readable.
use crate::{Driver, MonoioConnection, runtime, writability::set_send_timeout};
use anyport_core::{
    ConnInfo,
    runtime::{RuntimeOptions, Worker},
    socket::Acceptor,
    transport::PeerCred,
};
use monoio::net::{TcpStream, UnixStream};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    net::SocketFlags,
};
use std::{
    fmt,
    future::Future,
    io, net,
    os::{fd::BorrowedFd, unix},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

/// Waits until a listening socket has clients, and turns their sockets into monoio streams.
pub struct MonoioAcceptor {
    /// An epoll instance, which is readable when the listening socket is. monoio closes a
    /// descriptor only in its ring's next submission. The socket must be closed, and its address
    /// free, as soon as the listener is dropped.
    readiness: Rc<UnixStream>,
    wait: Option<Pin<Box<dyn Future<Output = io::Result<()>>>>>,
    is_ring: bool,
    /// Whether `set_send_timeout` is needed on each connection, because they do not inherit it.
    sets_send_timeout: bool,
}

impl Acceptor for MonoioAcceptor {
    type Driver = Driver;
    type Tcp = MonoioConnection;
    type Unix = MonoioConnection<UnixStream>;

    fn runtime_options(driver: &Driver) -> Option<RuntimeOptions> {
        Some(Arc::new(*driver))
    }

    fn new(socket: BorrowedFd<'_>, inherited: bool, worker: &Worker) -> io::Result<Self> {
        runtime::warn_if_refused(worker);
        let is_ring = Driver::current() == Some(Driver::IoUring);
        if is_ring && inherited {
            set_send_timeout(socket)?;
        }
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, socket, EventData::new_u64(0), EventFlags::IN)?;
        // Nothing is read from this stream: monoio waits for readiness on streams only.
        let readiness = UnixStream::from_std(unix::net::UnixStream::from(epoll))?;
        Ok(Self {
            readiness: Rc::new(readiness),
            wait: None,
            is_ring,
            sets_send_timeout: is_ring && !inherited,
        })
    }

    fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let readiness = &self.readiness;
        let wait = self.wait.get_or_insert_with(|| {
            let readiness = Rc::clone(readiness);
            Box::pin(async move { readiness.readable(false).await })
        });
        // The result is ignored: accept4 reports the error, if there is one.
        wait.as_mut().poll(cx).map(|_| {
            self.wait = None;
            Ok(())
        })
    }

    fn flags(&self) -> SocketFlags {
        match self.is_ring {
            // On a blocking socket the ring itself waits for completion.
            true => SocketFlags::CLOEXEC,
            false => SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        }
    }

    fn tcp(&self, stream: net::TcpStream, info: ConnInfo) -> io::Result<MonoioConnection> {
        if self.sets_send_timeout {
            set_send_timeout(&stream)?;
        }
        Ok(MonoioConnection::new(TcpStream::from_std(stream)?, info))
    }

    fn unix(&self, stream: unix::net::UnixStream, info: ConnInfo) -> io::Result<Self::Unix> {
        if self.sets_send_timeout {
            set_send_timeout(&stream)?;
        }
        let info = with_peer_cred(info, &stream);
        Ok(MonoioConnection::new(UnixStream::from_std(stream)?, info))
    }
}

/// Adds the process at the other end of a Unix stream.
pub(crate) fn with_peer_cred(info: ConnInfo, stream: &unix::net::UnixStream) -> ConnInfo {
    match getsockopt(stream, PeerCredentials) {
        Ok(cred) => info.with_peer_cred(PeerCred::from_kernel(
            Some(cred.pid()),
            cred.uid(),
            cred.gid(),
        )),
        Err(_) => info,
    }
}

impl fmt::Debug for MonoioAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonoioAcceptor").finish_non_exhaustive()
    }
}
