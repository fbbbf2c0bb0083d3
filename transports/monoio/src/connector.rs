//! Connects TCP and Unix sockets on a worker of monoio.
use crate::{
    Driver, MonoioConnection, acceptor::with_peer_cred, stream::Stream, writability::Writability,
    writability::set_send_timeout,
};
use anyport_core::{
    ConnInfo,
    socket::{ConnectOptions, Dial, SocketConnector, canonical, connected, start_connect, unix},
    transport::{Endpoint, UnixName},
};
use monoio::net::TcpStream;
use socket2::SockRef;
use std::{
    future::{Future, poll_fn},
    io,
    net::{self, SocketAddr},
    os::fd::AsFd,
    pin::Pin,
    task::Poll,
};

/// Connects over TCP and to Unix sockets, on a worker of monoio: in an app that
/// [`Monoio`](crate::Monoio) serves, or in [`block_on`](anyport_core::runtime::block_on).
///
/// With io_uring, the ring connects TCP sockets (`IORING_OP_CONNECT`). A dropped attempt cancels
/// its operation, and the socket is closed when the kernel has confirmed that. With epoll, or with
/// an option that is set before connecting, a system call begins to connect, and the worker waits
/// until the socket is writable. A dropped attempt closes that socket at once.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use anyport_core::{Connection, runtime::block_on, transport::{Connector, Target}};
/// use anyport_monoio::{MonoioConnector, MonoioPerCore};
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let target = Target::new(listener.local_addr()?);
/// # let expected = target.endpoint().clone();
/// let peer = block_on::<MonoioPerCore, _>(None, || async move {
///     let connection = MonoioConnector::new().connect(&target).await?.await?;
///     std::io::Result::Ok(connection.info().peer().clone())
/// })??;
/// # assert_eq!(peer, expected);
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
pub type MonoioConnector = SocketConnector<MonoioDial>;

/// How monoio connects sockets.
#[derive(Debug)]
pub struct MonoioDial(());

impl Dial for MonoioDial {
    const EXPECTS: &str = "an IP address and a port, or a Unix socket";
    type Connection = MonoioConnection;
    type Dialing = Pin<Box<dyn Future<Output = io::Result<MonoioConnection>>>>;

    fn dial(endpoint: &Endpoint, options: &ConnectOptions) -> Option<Self::Dialing> {
        match endpoint.clone() {
            Endpoint::Tcp(to) => Some(Box::pin(connect_tcp(to, options.clone()))),
            Endpoint::Unix(name) => Some(Box::pin(async move { connect_unix(&name) })),
            _ => None,
        }
    }
}

async fn connect_tcp(to: SocketAddr, options: ConnectOptions) -> io::Result<MonoioConnection> {
    if driver()? == Driver::IoUring && !options.precede_connect() {
        let stream = TcpStream::connect_addr(to).await?;
        let info = ConnInfo::new(to, canonical(stream.local_addr()?));
        let stream = Stream::new(stream);
        if let Some(socket) = stream.socket() {
            options
                .socket
                .apply_to_connection(&SockRef::from(&socket))?;
            set_send_timeout(socket)?;
        }
        return Ok(MonoioConnection::from_stream(stream, info));
    }
    let socket = options.tcp_socket(to)?;
    let mut info = match start_connect(&socket, to)? {
        true => connected(&socket, to)?,
        false => None,
    };
    if info.is_none() {
        let writability = Writability::new(&socket)?;
        while info.is_none() {
            wait(&writability).await?;
            info = connected(&socket, to)?;
        }
    }
    let info = info.ok_or(io::ErrorKind::NotConnected)?;
    adopt(socket, info)
}

/// Ready when the worker's epoll instance has reported the socket.
async fn wait(writability: &Writability) -> io::Result<()> {
    let mut is_registered = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_registered, true) && !writability.is_awaited() {
            return Poll::Ready(Ok(()));
        }
        match writability.register(cx.waker()) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    })
    .await
}

fn connect_unix(name: &UnixName) -> io::Result<MonoioConnection> {
    driver()?;
    let (stream, info) = unix::connect(name)?;
    let info = with_peer_cred(info, &stream);
    // A `TcpStream` reads and writes sockets of all families.
    adopt(
        net::TcpStream::from(std::os::fd::OwnedFd::from(stream)),
        info,
    )
}

/// Makes a connection of a connected, non-blocking socket.
fn adopt(socket: net::TcpStream, info: ConnInfo) -> io::Result<MonoioConnection> {
    if driver()? == Driver::IoUring {
        // On a blocking socket the ring itself waits for completion.
        socket.set_nonblocking(false)?;
        set_send_timeout(socket.as_fd())?;
    }
    Ok(MonoioConnection::new(TcpStream::from_std(socket)?, info))
}

fn driver() -> io::Result<Driver> {
    Driver::current().ok_or_else(|| {
        io::Error::other(
            "this thread is not a worker of monoio (connect in an app that monoio serves, or in `block_on::<MonoioPerCore, _>`)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyport_core::transport::{Connector, Target};
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    #[test]
    fn thread_that_is_no_worker_is_an_error() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        for target in [
            Target::new(addr),
            Target::new(UnixName::Path(std::path::Path::new("/x").into())),
        ] {
            let connecting = pin!(MonoioConnector::new().connect(&target));
            let polled = connecting.poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Err(error)) = polled else {
                panic!("{polled:?}");
            };
            let begin =
                format!("cannot connect to {target}: this thread is not a worker of monoio (");
            assert!(error.to_string().starts_with(&begin), "{error}");
        }
    }
}
