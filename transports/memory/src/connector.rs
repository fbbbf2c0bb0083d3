//! Connects to a memory transport.
use crate::{MemoryStream, connection, queue::Queue};
use anyport_core::{
    ConnInfo,
    transport::{Conn, Connector, Endpoint, Target},
};
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, Ready, ready},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Connects to a [`Memory`](crate::Memory) transport. It is cheap to clone.
///
/// [`connect`](Self::connect) returns a stream for a test. As a [`Connector`], it connects to the
/// [`endpoint`](Self::endpoint) of its transport and to no other:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use anyport_core::{Connection, Transport, transport::{Connector, Target}};
/// use anyport_memory::Memory;
///
/// let memory = Memory::new();
/// # let sockets = memory.open(1).unwrap();
/// let connector = memory.connector();
/// let target = Target::new(connector.endpoint().clone());
/// let connection = Connector::connect(&connector, &target).await?.await?;
/// assert_eq!(connection.info().peer(), target.endpoint());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryConnector {
    queue: Arc<Queue>,
    buffer: usize,
}

impl MemoryConnector {
    pub(crate) fn new(queue: Arc<Queue>, buffer: usize) -> Self {
        Self { queue, buffer }
    }

    /// The endpoint of the server.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.queue.endpoint()
    }

    /// Connects without waiting. The server accepts the connection later.
    ///
    /// # Errors
    ///
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused), if no server listens yet, if it has
    /// ended, or if too many connections wait.
    pub fn connect(&self) -> io::Result<MemoryStream> {
        let (client, _) = self.stream()?;
        Ok(client)
    }

    /// A stream and its local endpoint.
    fn stream(&self) -> io::Result<(MemoryStream, Endpoint)> {
        let local = self.queue.next_client();
        let info = ConnInfo::new(local.clone(), self.endpoint().clone());
        let (client, server) = connection::pair(self.buffer, info);
        self.queue.enqueue(server)?;
        Ok((client, local))
    }

    fn connection(&self, target: &Target) -> io::Result<MemoryClient> {
        match target.endpoint() {
            endpoint if endpoint == self.endpoint() => {}
            Endpoint::Custom(_) => {
                let what = format!("this connector connects to {} only", self.endpoint());
                let error = io::Error::new(io::ErrorKind::InvalidInput, what);
                return Err(target.error(error));
            }
            _ => return Err(target.unsupported("the endpoint of its memory transport")),
        }
        let (stream, local) = self.stream().map_err(|e| target.error(e))?;
        let info = ConnInfo::new(target.endpoint().clone(), local);
        Ok(Conn::new(TokioIo::new(stream), info))
    }
}

/// The client's end of a connection, with its facts.
pub type MemoryClient = Conn<TokioIo<MemoryStream>>;

impl Connector for MemoryConnector {
    type Connection = MemoryClient;
    type Connecting = MemoryConnecting;
    type Handshake = Ready<io::Result<MemoryClient>>;

    fn connect(&self, target: &Target) -> MemoryConnecting {
        MemoryConnecting {
            connector: self.clone(),
            target: target.clone(),
        }
    }
}

/// A [`MemoryConnector`] that connects: ready at its first poll.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct MemoryConnecting {
    connector: MemoryConnector,
    target: Target,
}

impl Future for MemoryConnecting {
    type Output = io::Result<Ready<io::Result<MemoryClient>>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(
            self.connector
                .connection(&self.target)
                .map(|connection| ready(Ok(connection))),
        )
    }
}
