//! Unix sockets that connect.
use super::source;
use crate::transport::{ConnInfo, Endpoint, UnixName};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use std::{io, os::unix::net::UnixStream};

/// Connects to a Unix socket without waiting: the kernel queues the connection for the server,
/// unless the queue is full. The returned socket is non-blocking.
///
/// # Errors
///
/// Those of connect(2). An invalid name is [`InvalidInput`](io::ErrorKind), and a full queue is
/// [`ConnectionRefused`](io::ErrorKind).
pub fn connect(name: &UnixName) -> io::Result<(UnixStream, ConnInfo)> {
    let address = match name {
        UnixName::Path(path) => source::path_address(path)?,
        #[cfg(target_os = "linux")]
        UnixName::Abstract(name) => source::abstract_address(name)?,
        #[cfg(not(target_os = "linux"))]
        UnixName::Abstract(_) => {
            let what = "abstract names exist on Linux only";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        UnixName::Unnamed => {
            let what = "an unnamed socket cannot be connected to (name its path)";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
    };
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&address).map_err(|error| {
        match Errno::from_io_error(&error) {
            Some(Errno::AGAIN) => io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "the queue of the listening socket is full (connect again later, or raise the server's backlog)",
            ),
            _ => error,
        }
    })?;
    let stream = UnixStream::from(socket);
    let local = Endpoint::from(stream.local_addr()?);
    Ok((stream, ConnInfo::new(Endpoint::Unix(name.clone()), local)))
}
