//! Unix sockets for transports on any runtime: paths, permissions, one listening socket per worker,
//! and the removal of the file.
//!
//! The sockets belong to no runtime yet, so any runtime can adopt them.
mod access;
mod connect;
mod lock_file;
mod queue;
mod socket_file;
mod source;
mod transport;

pub use access::Access;
pub use connect::connect;
pub use queue::UnixQueue;
pub use source::Source;
pub use transport::{FromUnixSocket, UnixTransport};

use crate::error::{Error, Result};
use queue::BoundName;
use socket_file::SocketFile;
use socket2::Socket;
use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net,
    },
    sync::Arc,
};

/// A listening Unix socket without a runtime.
///
/// The workers' sockets are duplicates of one. When the last of them is dropped, the path is
/// removed if this server made it.
#[derive(Debug)]
pub struct UnixSocket {
    /// Dropped first: see [`UnixQueue`].
    name: Option<Arc<BoundName>>,
    listener: net::UnixListener,
}

impl UnixSocket {
    /// The listening socket.
    #[must_use]
    pub fn listener(&self) -> &net::UnixListener {
        &self.listener
    }

    /// The state of its queue and the socket, for a runtime.
    #[must_use]
    pub fn into_parts(self) -> (UnixQueue, net::UnixListener) {
        (UnixQueue::new(self.name), self.listener)
    }
}

/// Binds, unless an adopted socket exists already, and listens with one non-blocking socket for
/// each of the `workers`.
///
/// # Errors
///
/// [`Error::bind`], with reason, address and advice.
pub fn listen(
    source: &Source,
    access: Access,
    backlog: u32,
    workers: usize,
) -> Result<Vec<UnixSocket>> {
    if let Some(error) = access.invalid() {
        return Err(Error::config(error));
    }
    if !matches!(source, Source::Path(_)) && !access.is_default() {
        return Err(Error::config(format!(
            "with_mode and with_owner apply to the file that `Unix::bind` makes, not to {source}"
        )));
    }
    open(source, access, backlog, workers).map_err(|e| Error::bind(source, e))
}

fn open(
    source: &Source,
    access: Access,
    backlog: u32,
    workers: usize,
) -> io::Result<Vec<UnixSocket>> {
    let (listener, name) = match source {
        Source::Adopt(listener) => (listener.try_clone()?, None),
        Source::Path(path) => {
            let (socket, file) = SocketFile::bind(path, access)?;
            (listening(socket, backlog)?, Some(BoundName::Path(file)))
        }
        #[cfg(target_os = "linux")]
        Source::Abstract(name) => {
            let socket = source::unbound()?;
            socket.bind(&source::abstract_address(name)?)?;
            (listening(socket, backlog)?, Some(BoundName::Abstract))
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

/// Clients can connect after this.
fn listening(socket: Socket, backlog: u32) -> io::Result<net::UnixListener> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
