//! A listening TCP socket on one worker.
use crate::TcpConnection;
use anyport_core::{
    ConnInfo, Listener,
    runtime::Worker,
    socket::{AcceptQueue, FromTcpSocket, Ownership, SocketOptions, canonical},
    transport::{Connecting, Endpoint},
};
use socket2::SockRef;
use std::{
    future::{Ready, ready},
    io,
    net::{self, SocketAddr},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::net::TcpStream;

/// A listening TCP socket on one worker.
#[derive(Debug)]
pub struct TcpListener {
    inner: tokio::net::TcpListener,
    options: SocketOptions,
    /// The local address of every connection. `None` if the socket listens on all interfaces: then
    /// each connection is asked for its own.
    local: Option<Endpoint>,
    queue: AcceptQueue,
}

impl FromTcpSocket for TcpListener {
    type Driver = ();

    fn new(
        socket: net::TcpListener,
        options: &SocketOptions,
        ownership: Ownership,
        _: &Worker,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self {
            inner: tokio::net::TcpListener::from_std(socket)?,
            options: options.clone(),
            local: (!local.ip().is_unspecified()).then(|| local.into()),
            queue: AcceptQueue::new(ownership),
        })
    }
}

impl TcpListener {
    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<TcpConnection> {
        if self.options.need_applying() {
            self.options.apply_to_connection(&SockRef::from(&stream))?;
        }
        let local = match &self.local {
            Some(local) => local.clone(),
            None => canonical(stream.local_addr()?).into(),
        };
        Ok(TcpConnection::new(
            stream,
            ConnInfo::new(canonical(peer), local),
        ))
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        if self.queue.is_drained() {
            return Poll::Pending;
        }
        if !self.queue.is_stopped() {
            return self.inner.poll_accept(cx);
        }
        match SockRef::from(&self.inner).accept() {
            Ok((socket, peer)) => {
                self.queue.record_accept();
                socket.set_nonblocking(true)?;
                let stream = TcpStream::from_std(socket.into())?;
                let peer = peer.as_socket().ok_or(io::ErrorKind::ConnectionAborted)?;
                Poll::Ready(Ok((stream, peer)))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => match self.queue.should_wait() {
                true => self.inner.poll_accept(cx),
                false => Poll::Pending,
            },
            Err(e) => Poll::Ready(Err(e)),
        }
    }
}

impl Listener for TcpListener {
    type Connection = TcpConnection;
    type Handshake = Ready<io::Result<TcpConnection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let (stream, peer) = ready!(self.poll_stream(cx))?;
        // An error here means that the peer has disconnected. It is not an error of the listener.
        let connection = self.connection(stream, peer);
        Poll::Ready(Ok(Connecting::new(canonical(peer), ready(connection))))
    }

    fn stop(&mut self) -> Duration {
        self.queue.stop(&SockRef::from(&self.inner))
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tcp;
    use anyport_core::{Transport, socket::MAX_BACKLOG};
    use std::{future::poll_fn, net::TcpStream as Client};

    fn adopted(owner: &net::TcpListener, workers: usize) -> Vec<TcpListener> {
        let tcp = Tcp::from_std(owner.try_clone().unwrap());
        let sockets = tcp.open(workers).unwrap().into_iter().enumerate();
        let listeners =
            sockets.map(|(index, socket)| tcp.listen(socket, &Worker::new(index, workers)));
        listeners.collect::<Result<_, _>>().unwrap()
    }

    fn owner() -> (net::TcpListener, SocketAddr) {
        let owner = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = owner.local_addr().unwrap();
        (owner, addr)
    }

    /// Accepts a connection, and returns its peer's address.
    async fn accept(listener: &mut TcpListener) -> SocketAddr {
        let incoming = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        incoming.peer.socket_addr().unwrap()
    }

    async fn is_idle(listener: &mut TcpListener) -> bool {
        poll_fn(|cx| Poll::Ready(listener.poll_accept(cx).is_pending())).await
    }

    #[tokio::test]
    async fn adopted_socket_stays_open_for_its_other_owners() {
        let (owner, addr) = owner();
        let mut both = adopted(&owner, 2);
        let early = Client::connect(addr).unwrap();
        assert_eq!(both[0].stop(), Duration::ZERO);
        assert_eq!(accept(&mut both[0]).await, early.local_addr().unwrap());
        assert!(is_idle(&mut both[0]).await);
        // This client belongs to the other worker, even if the first one polls.
        let late = Client::connect(addr).unwrap();
        assert!(is_idle(&mut both[0]).await);
        assert_eq!(accept(&mut both[1]).await, late.local_addr().unwrap());
        both[1].stop();
        drop(both);
        let later = Client::connect(addr).unwrap();
        owner.set_nonblocking(false).unwrap();
        assert_eq!(owner.accept().unwrap().1, later.local_addr().unwrap());
    }

    #[tokio::test]
    async fn endless_clients_do_not_keep_an_adopted_socket_open() {
        let (owner, addr) = owner();
        let mut listener = adopted(&owner, 1).remove(0);
        listener.stop();
        for _ in 0..MAX_BACKLOG {
            let client = Client::connect(addr).unwrap();
            accept(&mut listener).await;
            // A reset keeps thousands of ports out of TIME-WAIT.
            SockRef::from(&client)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        let _next = Client::connect(addr).unwrap();
        assert!(is_idle(&mut listener).await);
    }
}
