//! Unix sockets for transports on any runtime: paths, permissions, one listening socket per worker,
//! and the removal of the file.
//!
//! The sockets belong to no runtime yet, so any runtime can adopt them.
mod access;
mod lock_file;
mod place;
mod queue;
mod socket_file;
mod transport;

pub use access::Access;
pub use place::Place;
pub use queue::UnixQueue;
pub use transport::{UnixListen, UnixTransport};

use crate::error::{Error, Result};
use queue::Name;
use socket_file::SocketFile;
use socket2::{Domain, Socket, Type};
use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net,
    },
    sync::Arc,
};

/// A listening Unix socket that belongs to no runtime yet.
///
/// The workers' sockets are duplicates of one. When the last of them is dropped, the path is
/// removed, if this server made it.
#[derive(Debug)]
pub struct UnixSocket {
    /// Dropped first: see [`UnixQueue`].
    name: Option<Arc<Name>>,
    listener: net::UnixListener,
}

impl UnixSocket {
    /// The socket.
    #[must_use]
    pub fn listener(&self) -> &net::UnixListener {
        &self.listener
    }

    /// The socket, for a runtime, and what's to be known of its queue.
    #[must_use]
    pub fn into_parts(self) -> (UnixQueue, net::UnixListener) {
        (UnixQueue::new(self.name), self.listener)
    }
}

/// Binds, unless the socket is there already, and listens: one non-blocking socket for each of the
/// `workers`.
///
/// # Errors
///
/// [`Error::bind`]: what, where, and what to do about it.
pub fn listen(
    place: &Place,
    access: Access,
    backlog: u32,
    workers: usize,
) -> Result<Vec<UnixSocket>> {
    if let Some(fault) = access.fault() {
        return Err(Error::config(fault));
    }
    if !matches!(place, Place::Path(_)) && !access.is_default() {
        return Err(Error::config(format!(
            "with_mode and with_owner are about the file that `Unix::bind` makes, not about {place}"
        )));
    }
    open(place, access, backlog, workers).map_err(|e| Error::bind(place, e))
}

fn open(
    place: &Place,
    access: Access,
    backlog: u32,
    workers: usize,
) -> io::Result<Vec<UnixSocket>> {
    let (listener, name) = match place {
        Place::Adopt(listener) => (listener.try_clone()?, None),
        Place::Path(path) => {
            let (socket, file) = SocketFile::bind(path, access)?;
            (listening(socket, backlog)?, Some(Name::Path(file)))
        }
        #[cfg(target_os = "linux")]
        Place::Abstract(name) => {
            let socket = unbound()?;
            socket.bind(&place::abstract_address(name)?)?;
            (listening(socket, backlog)?, Some(Name::Abstract))
        }
    };
    listener.set_nonblocking(true)?;
    let name = name.map(Arc::new);
    let duplicates = (0..workers).map(|_| {
        Ok(UnixSocket {
            name: name.clone(),
            listener: listener.try_clone()?,
        })
    });
    duplicates.collect()
}

fn unbound() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// From now on, clients can connect.
fn listening(socket: Socket, backlog: u32) -> io::Result<net::UnixListener> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
