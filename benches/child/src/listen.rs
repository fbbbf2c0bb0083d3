//! How peers listen whose own way knows no backlog, or doesn't tell which port it got.

use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// The same for all servers of the bench, and no default of any but anyport's: a burst of clients
/// isn't turned away.
pub const BACKLOG: i32 = 4096;

/// A blocking listener.
///
/// # Errors
///
/// When the address can't be had, with the address in it.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot bind {address}: {error}")))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // As the own `bind` of std and of all runtimes does: a port whose last connections linger can
    // be taken again.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
