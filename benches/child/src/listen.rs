//! A listener for peers that have no option for the backlog, or do not give their port.

use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// The backlog of all servers of the bench, so that a burst of clients is accepted. It is the
/// default of anyport only.
pub const BACKLOG: i32 = 4096;

/// A blocking listener.
///
/// # Errors
///
/// When the address cannot be bound, with the address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let bind = || -> io::Result<_> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // As std and all runtimes do: a port with connections in TIME_WAIT can be bound again.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    bind().map_err(|error| io::Error::new(error.kind(), format!("cannot bind {address}: {error}")))
}
