//! Connects to Unix sockets.
use crate::{UnixConnection, listener::with_peer_cred};
use anyport_core::{
    socket::{ConnectOptions, Dial, SocketConnector, unix},
    transport::{Endpoint, UnixName},
};
use std::{future::Future, io, pin::Pin};
use tokio::net::UnixStream;

/// Connects to Unix sockets, by path or abstract name, on any tokio.
///
/// It never waits: the kernel queues the connection for the server, or refuses it if the queue is
/// full. [`info`] has the credentials of the server. The options of [`SocketConnector`] are for
/// TCP, and have no effect here.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use anyport_core::{Connection, transport::{Connector, Endpoint, Target, UnixName}};
/// use anyport_unix::UnixConnector;
/// use std::path::Path;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.sock");
/// # let listener = std::os::unix::net::UnixListener::bind(&path)?;
/// # let app_sock: &Path = &path;
/// let target = Target::new(UnixName::Path(app_sock.into()));
/// let connection = UnixConnector::new().connect(&target).await?.await?;
/// assert!(connection.info().peer_cred().is_some());
/// # Ok(()) }
/// ```
///
/// [`info`]: anyport_core::Connection::info
pub type UnixConnector = SocketConnector<UnixDial>;

/// How tokio connects Unix sockets.
#[derive(Debug)]
pub struct UnixDial(());

impl Dial for UnixDial {
    const EXPECTS: &str = "a Unix socket";
    type Connection = UnixConnection;
    type Dialing = Pin<Box<dyn Future<Output = io::Result<UnixConnection>> + Send>>;

    fn dial(endpoint: &Endpoint, _: &ConnectOptions) -> Option<Self::Dialing> {
        let Endpoint::Unix(name) = endpoint.clone() else {
            return None;
        };
        Some(Box::pin(async move { connect(&name) }))
    }
}

fn connect(name: &UnixName) -> io::Result<UnixConnection> {
    let (stream, info) = unix::connect(name)?;
    let stream = UnixStream::from_std(stream)?;
    let info = with_peer_cred(info, &stream);
    Ok(UnixConnection::new(stream, info))
}
