//! TCP and Unix sockets for transports on any runtime: addresses, options, one listening socket per
//! worker, and sockets that connect.
//!
//! The sockets are those of std, so any runtime can adopt them. This layer makes system calls. It
//! must not depend on the runtime or transport that owns a socket.
mod address;
mod connect;
mod options;
mod peer;
mod queue;
#[cfg(target_os = "linux")]
mod ready;
mod tcp;
#[cfg(unix)]
pub mod unix;

pub use address::BindAddr;
pub use connect::{
    ConnectOptions, Dial, SocketConnecting, SocketConnector, connected, start_connect,
};
pub use options::SocketOptions;
#[cfg(unix)]
pub use peer::{peer_state, reset_at_close, try_send};
pub use queue::{AcceptQueue, MAX_BACKLOG, Ownership, canonical};
#[cfg(target_os = "linux")]
pub use ready::{Acceptor, ReadinessTcpListener, ReadinessUnixListener};
pub use tcp::{FromTcpSocket, TcpTransport};

use crate::error::{Error, Result};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// Binds `address` and listens with one non-blocking socket for each of the `workers`.
///
/// With several workers on Linux, the sockets share the port (SO_REUSEPORT, socket(7)), and the
/// kernel distributes the connections. The first socket is bound alone, so a port in use is an
/// error. On other systems, the workers have duplicates of one socket.
///
/// # Errors
///
/// [`Error::bind`], with reason, address and advice.
pub fn listen(
    address: &BindAddr,
    options: &SocketOptions,
    workers: usize,
) -> Result<Vec<TcpListener>> {
    let candidates = address.resolve().map_err(|e| Error::bind(address, e))?;
    let mut first_error = None;
    for candidate in candidates {
        match open(candidate, options, workers) {
            Ok(sockets) => return Ok(sockets),
            // A bare port means both families, or the one that exists. If one family's port is
            // taken, that is an error.
            Err(e) if address.is_port() && !lacks_ipv6(&e) => return Err(Error::bind(address, e)),
            Err(e) => {
                first_error.get_or_insert(e);
            }
        }
    }
    let error = first_error
        .unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the name has no address"));
    Err(Error::bind(address, error))
}

/// The machine has no IPv6: the family or the address does not exist.
fn lacks_ipv6(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT)
        || error.kind() == io::ErrorKind::AddrNotAvailable
}

/// Duplicates a socket that is listening already, for each of the `workers`.
///
/// # Errors
///
/// No descriptor is left, or the descriptor is not a socket.
pub fn adopt(listener: &TcpListener, workers: usize) -> Result<Vec<TcpListener>> {
    let duplicate = || {
        let socket = listener.try_clone()?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let all: io::Result<_> = (0..workers).map(|_| duplicate()).collect();
    all.map_err(|e| Error::bind("an adopted listener", e))
}

fn open(
    address: SocketAddr,
    options: &SocketOptions,
    workers: usize,
) -> io::Result<Vec<TcpListener>> {
    let first = bound(address, options, false)?;
    let share = workers > 1 && cfg!(target_os = "linux");
    let mut all = vec![first];
    if share {
        // Set after bind: the bind was exclusive, and from here on the other workers' sockets may
        // share the port.
        #[cfg(target_os = "linux")]
        all[0].set_reuse_port(true)?;
        let resolved = all[0].local_addr()?.as_socket().unwrap_or(address);
        for _ in 1..workers {
            all.push(bound(resolved, options, true)?);
        }
    }
    for socket in &all {
        socket.listen(options.queue_length())?;
    }
    while all.len() < workers {
        let duplicate = all[0].try_clone()?;
        all.push(duplicate);
    }
    Ok(all.into_iter().map(TcpListener::from).collect())
}

fn bound(address: SocketAddr, options: &SocketOptions, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    // On Unix this allows binding a port whose earlier connections are in TIME-WAIT. On Windows it
    // would allow another process to take over a port in use.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(target_os = "linux")]
    socket.set_reuse_port(share)?;
    #[cfg(not(target_os = "linux"))]
    let _ = share;
    if address.is_ipv6() {
        socket.set_only_v6(options.v6_only)?;
    }
    options.apply_to_listener(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
