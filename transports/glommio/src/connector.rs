//! Connects TCP and Unix sockets on a worker of glommio.
use crate::{GlommioConnection, acceptor::with_peer_cred, readiness::Readiness, runtime};
use anyport_core::{
    socket::{ConnectOptions, Dial, SocketConnector, connected, start_connect, unix},
    transport::{Endpoint, UnixName},
};
use glommio::net::TcpStream;
use glommio_socket2::Socket;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
};

/// Connects over TCP and to Unix sockets, on a worker of glommio: in an app that
/// [`Glommio`](crate::Glommio) serves, or in [`block_on`](anyport_core::runtime::block_on).
///
/// A system call begins to connect, and the reactor waits until the socket is writable. No
/// operation of the ring holds the socket, so a dropped attempt closes it at once.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use anyport_core::{Connection, runtime::block_on, transport::{Connector, Target}};
/// use anyport_glommio::{GlommioConnector, GlommioPerCore};
///
/// # use anyport_core::Runtime;
/// # if GlommioPerCore::check().is_err() { return Ok(()) }
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let target = Target::new(listener.local_addr()?);
/// # let expected = target.endpoint().clone();
/// let peer = block_on::<GlommioPerCore, _>(None, || async move {
///     let connection = GlommioConnector::new().connect(&target).await?.await?;
///     std::io::Result::Ok(connection.info().peer().clone())
/// })??;
/// # assert_eq!(peer, expected);
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
pub type GlommioConnector = SocketConnector<GlommioDial>;

/// How glommio connects sockets.
#[derive(Debug)]
pub struct GlommioDial(());

impl Dial for GlommioDial {
    const EXPECTS: &str = "an IP address and a port, or a Unix socket";
    type Connection = GlommioConnection;
    type Dialing = Pin<Box<dyn Future<Output = io::Result<GlommioConnection>>>>;

    fn dial(endpoint: &Endpoint, options: &ConnectOptions) -> Option<Self::Dialing> {
        match endpoint.clone() {
            Endpoint::Tcp(to) => Some(Box::pin(connect_tcp(to, options.clone()))),
            Endpoint::Unix(name) => Some(Box::pin(async move { connect_unix(&name) })),
            _ => None,
        }
    }
}

async fn connect_tcp(to: SocketAddr, options: ConnectOptions) -> io::Result<GlommioConnection> {
    check_worker()?;
    let socket = options.tcp_socket(to)?;
    let mut info = match start_connect(&socket, to)? {
        true => connected(&socket, to)?,
        false => None,
    };
    if info.is_none() {
        // An epoll instance is readable when the socket is writable. The reactor polls a duplicate
        // of it, and only that duplicate can outlive the attempt.
        let readiness = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&readiness, &socket, EventData::new_u64(0), EventFlags::OUT)?;
        let mut wait = Readiness::default();
        while info.is_none() {
            poll_fn(|cx| wait.poll_readable(&readiness, cx)).await?;
            info = connected(&socket, to)?;
        }
    }
    let info = info.ok_or(io::ErrorKind::NotConnected)?;
    let stream = TcpStream::from(Socket::from(socket));
    Ok(GlommioConnection::new(stream, info))
}

fn connect_unix(name: &UnixName) -> io::Result<GlommioConnection> {
    check_worker()?;
    let (stream, info) = unix::connect(name)?;
    let info = with_peer_cred(info, &stream);
    // glommio's `TcpStream` works with sockets of all families.
    let stream = TcpStream::from(Socket::from(stream));
    Ok(GlommioConnection::new(stream, info))
}

/// Fails on other threads, where glommio would panic.
fn check_worker() -> io::Result<()> {
    match runtime::is_worker() {
        true => Ok(()),
        false => Err(io::Error::other(
            "this thread is not a worker of glommio (connect in an app that glommio serves, or in `block_on::<GlommioPerCore, _>`)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyport_core::transport::{Connector, Target};
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    #[test]
    fn thread_that_is_no_worker_is_an_error() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        for target in [
            Target::new(addr),
            Target::new(UnixName::Path(std::path::Path::new("/x").into())),
        ] {
            let connecting = pin!(GlommioConnector::new().connect(&target));
            let polled = connecting.poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Err(error)) = polled else {
                panic!("{polled:?}");
            };
            let begin =
                format!("cannot connect to {target}: this thread is not a worker of glommio (");
            assert!(error.to_string().starts_with(&begin), "{error}");
        }
    }
}
