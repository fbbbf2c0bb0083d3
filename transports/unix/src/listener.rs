//! A listening Unix socket on one worker.
use crate::{UnixConnection, UnixSocket};
use anyport_core::{
    ConnInfo, Listener,
    runtime::Worker,
    socket::unix::{FromUnixSocket, UnixQueue},
    transport::{Connecting, Endpoint, PeerCred, UnixName},
};
use socket2::SockRef;
use std::{
    future::Ready,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net,
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::net::UnixStream;

/// A listening Unix socket on one worker.
#[derive(Debug)]
pub struct UnixListener {
    /// Dropped before the socket: while that is open, no other file can get its inode, so the queue
    /// removes the right file.
    queue: UnixQueue,
    inner: tokio::net::UnixListener,
    local: Endpoint,
}

impl FromUnixSocket for UnixListener {
    type Driver = ();

    fn new(socket: UnixSocket, _: &Worker) -> io::Result<Self> {
        let (queue, listener) = socket.into_parts();
        Ok(Self {
            queue,
            local: listener.local_addr()?.into(),
            inner: tokio::net::UnixListener::from_std(listener)?,
        })
    }
}

impl UnixListener {
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, Endpoint)>> {
        if self.queue.is_drained() {
            return Poll::Pending;
        }
        if !self.queue.is_stopped() {
            let (stream, peer) = ready!(self.inner.poll_accept(cx))?;
            return Poll::Ready(Ok((stream, net::SocketAddr::from(peer).into())));
        }
        match SockRef::from(&self.inner).accept() {
            Ok((socket, _)) => {
                self.queue.record_accept();
                socket.set_nonblocking(true)?;
                let stream = net::UnixStream::from(socket);
                let peer = stream.peer_addr();
                let peer = peer.map_or(Endpoint::Unix(UnixName::Unnamed), Endpoint::from);
                Poll::Ready(Ok((UnixStream::from_std(stream)?, peer)))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                let _ = self.queue.should_wait();
                Poll::Pending
            }
            Err(e) => Poll::Ready(Err(e)),
        }
    }
}

impl Listener for UnixListener {
    type Connection = UnixConnection;
    type Handshake = Ready<io::Result<UnixConnection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let (stream, peer) = ready!(self.poll_stream(cx))?;
        let info = with_peer_cred(ConnInfo::new(peer, self.local.clone()), &stream);
        Poll::Ready(Ok(Connecting::ready(UnixConnection::new(stream, info))))
    }

    fn stop(&mut self) -> Duration {
        self.queue.stop(&SockRef::from(&self.inner));
        // A Unix connection is made and queued in one step, so none is in progress.
        Duration::ZERO
    }
}

/// Adds the process at the other end of the stream.
pub(crate) fn with_peer_cred(info: ConnInfo, stream: &UnixStream) -> ConnInfo {
    match stream.peer_cred() {
        Ok(cred) => info.with_peer_cred(PeerCred::from_kernel(cred.pid(), cred.uid(), cred.gid())),
        Err(_) => info,
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unix;
    use anyport_core::{Connection, Transport, socket::MAX_BACKLOG};
    use std::{future::poll_fn, path::Path};
    use tempfile::TempDir;

    fn listeners(unix: &Unix, workers: usize) -> Vec<UnixListener> {
        let sockets = unix.open(workers).unwrap();
        let listeners = sockets
            .into_iter()
            .map(|socket| UnixListener::new(socket, &Worker::new(0, 1)));
        listeners.collect::<Result<_, _>>().unwrap()
    }

    fn connect(path: &Path) -> io::Result<net::UnixStream> {
        net::UnixStream::connect(path)
    }

    async fn accept(listener: &mut UnixListener) -> UnixConnection {
        let incoming = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        incoming.handshake.await.unwrap()
    }

    async fn is_idle(listener: &mut UnixListener) -> bool {
        poll_fn(|cx| Poll::Ready(listener.poll_accept(cx).is_pending())).await
    }

    #[tokio::test]
    async fn clients_connect_until_the_last_worker_stops() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.sock");
        let mut both = listeners(&Unix::bind(&path), 2);
        let _early = connect(&path).unwrap();
        assert_eq!(both[0].stop(), Duration::ZERO);
        let connection = accept(&mut both[0]).await;
        assert_eq!(connection.info().peer(), &Endpoint::Unix(UnixName::Unnamed));
        assert!(connection.info().peer_cred().is_some());
        assert!(is_idle(&mut both[0]).await);
        // This client belongs to the other worker, even if the first one polls.
        let _late = connect(&path).unwrap();
        assert!(is_idle(&mut both[0]).await);
        accept(&mut both[1]).await;

        let _last: Vec<_> = (0..3).map(|_| connect(&path).unwrap()).collect();
        both[1].stop();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        for _ in 0..3 {
            accept(&mut both[1]).await;
        }
        assert!(is_idle(&mut both[1]).await);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hard_link_to_a_stopped_socket_refuses_clients() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.sock");
        let mut listener = listeners(&Unix::bind(&path), 1).remove(0);
        let other = folder.path().join("other.sock");
        std::fs::hard_link(&path, &other).unwrap();
        connect(&other).unwrap();
        listener.stop();
        let refused = connect(&other).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn adopted_socket_stays_open_for_its_other_owners() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.sock");
        let owner = net::UnixListener::bind(&path).unwrap();
        let mut adopted = listeners(&Unix::from_std(owner.try_clone().unwrap()), 1).remove(0);
        let _early = connect(&path).unwrap();
        adopted.stop();
        accept(&mut adopted).await;
        assert!(is_idle(&mut adopted).await);
        let _late = connect(&path).unwrap();
        assert!(is_idle(&mut adopted).await);
        drop(adopted);
        owner.set_nonblocking(true).unwrap();
        owner.accept().unwrap();
    }

    #[tokio::test]
    async fn endless_clients_do_not_keep_an_adopted_socket_open() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.sock");
        let adopted = Unix::from_std(net::UnixListener::bind(&path).unwrap());
        let mut listener = listeners(&adopted, 1).remove(0);
        listener.stop();
        let mut next = connect(&path).unwrap();
        for _ in 0..MAX_BACKLOG {
            let connected = std::mem::replace(&mut next, connect(&path).unwrap());
            accept(&mut listener).await;
            drop(connected);
        }
        assert!(is_idle(&mut listener).await);
    }
}
