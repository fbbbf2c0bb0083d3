//! Unix sockets as a transport of anyport.
use anyport::{
    ConnInfo, Error, Listener, Result, Transport,
    runtime::{Tokio, TokioIo, Worker},
    transport::{Conn, Connecting, Endpoint},
};
use std::{
    fs,
    future::Ready,
    io,
    os::unix::net,
    path::PathBuf,
    task::{Context, Poll},
};
use tokio::net::{UnixListener, UnixStream};

/// Where to listen. The server clones it to each worker.
#[derive(Clone, Debug)]
pub struct UnixSocket(pub PathBuf);

impl Transport for UnixSocket {
    type Runtime = Tokio;
    type Socket = net::UnixListener;
    type Listener = UnixSockets;

    fn open(&self, workers: usize) -> Result<Vec<net::UnixListener>> {
        let open = || {
            let first = net::UnixListener::bind(&self.0)?;
            first.set_nonblocking(true)?;
            let mut sockets = vec![first];
            while sockets.len() < workers {
                sockets.push(sockets[0].try_clone()?);
            }
            Ok(sockets)
        };
        open().map_err(|error| Error::bind(format_args!("unix:{}", self.0.display()), error))
    }

    fn endpoint(&self, socket: &net::UnixListener) -> io::Result<Endpoint> {
        Ok(socket.local_addr()?.into())
    }

    fn listen(&self, socket: net::UnixListener, _: &Worker) -> io::Result<UnixSockets> {
        Ok(UnixSockets {
            local: socket.local_addr()?.into(),
            listener: UnixListener::from_std(socket)?,
            path: self.0.clone(),
        })
    }
}

/// The listening socket of a worker.
#[derive(Debug)]
pub struct UnixSockets {
    listener: UnixListener,
    local: Endpoint,
    path: PathBuf,
}

impl Listener for UnixSockets {
    type Connection = Conn<TokioIo<UnixStream>>;
    type Handshake = Ready<io::Result<Self::Connection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        self.listener.poll_accept(cx).map_ok(|(stream, peer)| {
            let info = ConnInfo::new(net::SocketAddr::from(peer), self.local.clone());
            Connecting::ready(Conn::new(TokioIo::new(stream), info))
        })
    }
}

impl Drop for UnixSockets {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
