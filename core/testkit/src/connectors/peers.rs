//! Listeners that connectors connect to.
use anyport_core::transport::{Endpoint, Target};
#[cfg(target_os = "linux")]
use std::any::Any;
use std::{future::Future, io, net::SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
#[cfg(unix)]
use {
    anyport_core::transport::UnixName,
    std::path::Path,
    tokio::net::{UnixListener, UnixStream},
};

/// The peer's end of a connection.
pub trait PeerStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> PeerStream for T {}

/// A listener, on tokio, that is not part of the transport under test where that is possible.
pub trait Peers: Send + 'static {
    /// Where it listens, with the host's name if the connector needs one.
    fn target(&self) -> Target;

    /// Accepts a connection, and completes the peer's part of a handshake. Returns the client's
    /// endpoint as well.
    fn accept(
        &mut self,
    ) -> impl Future<Output = io::Result<(Box<dyn PeerStream>, Endpoint)>> + Send;

    /// Accepts a connection without its handshake. Default: [`accept`](Self::accept), which is
    /// right if there is none.
    fn accept_silently(&mut self) -> impl Future<Output = io::Result<Box<dyn PeerStream>>> + Send {
        async { Ok(self.accept().await?.0) }
    }
}

/// Peers over TCP.
#[derive(Debug)]
pub struct TcpPeers {
    listener: TcpListener,
    target: Target,
}

impl TcpPeers {
    /// Listens at a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// As listen(2).
    pub async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let target = Target::new(listener.local_addr()?);
        Ok(Self { listener, target })
    }

    /// A target that refuses connections: a port that only root may bind, and nobody does.
    #[must_use]
    pub fn refusing() -> Target {
        Target::new(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    /// Accepts the stream of the next client.
    ///
    /// # Errors
    ///
    /// As accept(2).
    pub async fn accept_stream(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Peers for TcpPeers {
    fn target(&self) -> Target {
        self.target.clone()
    }

    async fn accept(&mut self) -> io::Result<(Box<dyn PeerStream>, Endpoint)> {
        let stream = self.accept_stream().await?;
        let client = stream.peer_addr()?.into();
        Ok((Box::new(stream), client))
    }
}

/// Peers over a Unix socket.
#[cfg(unix)]
#[derive(Debug)]
pub struct UnixPeers {
    listener: UnixListener,
    target: Target,
}

#[cfg(unix)]
impl UnixPeers {
    /// Listens at a path.
    ///
    /// # Errors
    ///
    /// As bind(2).
    pub fn bind(path: &Path) -> io::Result<Self> {
        Ok(Self {
            listener: UnixListener::bind(path)?,
            target: Target::new(UnixName::Path(path.into())),
        })
    }

    /// A target that refuses connections: the file stays when its listener is closed.
    #[must_use]
    pub fn refusing(path: &Path) -> Target {
        drop(std::os::unix::net::UnixListener::bind(path));
        Target::new(UnixName::Path(path.into()))
    }
}

#[cfg(unix)]
impl Peers for UnixPeers {
    fn target(&self) -> Target {
        self.target.clone()
    }

    async fn accept(&mut self) -> io::Result<(Box<dyn PeerStream>, Endpoint)> {
        let (stream, client): (UnixStream, _) = self.listener.accept().await?;
        let client = std::os::unix::net::SocketAddr::from(client).into();
        Ok((Box::new(stream), client))
    }
}

/// A listening TCP socket that drops every SYN, as a firewall does: an attempt to connect to it
/// stays pending.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct SilentListener(std::net::TcpListener);

#[cfg(target_os = "linux")]
impl SilentListener {
    /// Listens at a free port of 127.0.0.1, and answers nothing.
    ///
    /// # Errors
    ///
    /// As listen(2) and SO_ATTACH_FILTER (socket(7)).
    pub fn listen() -> io::Result<Self> {
        use socket2::{SockFilter, SockRef};
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        // BPF_RET | BPF_K: drop.
        SockRef::from(&listener).attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])?;
        Ok(Self(listener))
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// As getsockname(2).
    pub fn target(&self) -> io::Result<Target> {
        Ok(Target::new(self.0.local_addr()?))
    }

    /// A listener for [`ConnectorSubject::silent`](super::ConnectorSubject::silent). `None` if it
    /// cannot listen.
    #[must_use]
    pub fn with_target() -> Option<(Target, Box<dyn Any + Send>)> {
        let listener = Self::listen().ok()?;
        Some((listener.target().ok()?, Box::new(listener)))
    }
}
