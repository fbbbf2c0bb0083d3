//! Connects over TCP.
use crate::TcpConnection;
use anyport_core::{
    ConnInfo,
    socket::{ConnectOptions, Dial, SocketConnector, canonical},
    transport::Endpoint,
};
use std::{future::Future, io, net::SocketAddr, pin::Pin};
use tokio::net::TcpSocket;

/// Connects over TCP, on any tokio.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use anyport_core::{Connection, transport::{Connector, Target}};
/// use anyport_tcp::TcpConnector;
/// use std::time::Duration;
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let target = Target::new(listener.local_addr()?);
/// let connector = TcpConnector::new().with_keepalive(Duration::from_secs(60));
/// let connection = connector.connect(&target).await?.await?;
/// assert_eq!(connection.info().peer(), target.endpoint());
/// # Ok(()) }
/// ```
pub type TcpConnector = SocketConnector<TcpDial>;

/// How tokio connects TCP sockets.
#[derive(Debug)]
pub struct TcpDial(());

impl Dial for TcpDial {
    const EXPECTS: &str = "an IP address and a port";
    type Connection = TcpConnection;
    type Dialing = Pin<Box<dyn Future<Output = io::Result<TcpConnection>> + Send>>;

    fn dial(endpoint: &Endpoint, options: &ConnectOptions) -> Option<Self::Dialing> {
        let Endpoint::Tcp(to) = *endpoint else {
            return None;
        };
        Some(Box::pin(connect(to, options.clone())))
    }
}

async fn connect(to: SocketAddr, options: ConnectOptions) -> io::Result<TcpConnection> {
    let socket = TcpSocket::from_std_stream(options.tcp_socket(to)?);
    let stream = socket.connect(to).await?;
    let info = ConnInfo::new(to, canonical(stream.local_addr()?));
    Ok(TcpConnection::new(stream, info))
}
