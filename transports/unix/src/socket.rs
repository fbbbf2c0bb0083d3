//! Listening sockets that belong to no runtime yet: bound here or adopted, one for each worker.
#[cfg(target_os = "linux")]
use crate::place;
use crate::{access::Access, place::Place, socket_file::SocketFile};
use socket2::{Domain, SockRef, Socket, Type};
use std::{
    io,
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net,
    },
    sync::Arc,
};

/// A listening Unix socket that belongs to no runtime yet.
///
/// The workers' sockets are duplicates of one. When the last of them is dropped, the path is removed, if this server made it.
#[derive(Debug)]
pub struct UnixSocket {
    /// Dropped first: see [`UnixListener`](crate::UnixListener).
    pub(crate) name: Option<Arc<Name>>,
    pub(crate) listener: net::UnixListener,
}

/// The name of a socket that this server bound, and gives up at its end.
#[derive(Debug)]
pub(crate) enum Name {
    Path(SocketFile),
    #[cfg(target_os = "linux")]
    Abstract,
}

impl Name {
    /// Keeps new clients out, who are refused from now on, and removes the path. Who is queued already, can be accepted still.
    pub(crate) fn give_up(self, socket: &SockRef<'_>) {
        // Linux refuses connections to a listening socket that was shut down for reading (`unix_stream_connect`), under the same lock that puts
        // them into the queue. So between the last accept and the close, nobody is lost. Where the system won't do it (ENOTCONN), the path is gone
        // at least.
        let _ = socket.shutdown(Shutdown::Read);
        match self {
            Self::Path(file) => drop(file),
            #[cfg(target_os = "linux")]
            Self::Abstract => {}
        }
    }
}

/// One socket for each of the `workers`.
pub(crate) fn open(
    place: &Place,
    access: Access,
    backlog: u32,
    workers: usize,
) -> io::Result<Vec<UnixSocket>> {
    let (listener, name) = match place {
        Place::Adopt(listener) => (listener.try_clone()?, None),
        Place::Path(path) => {
            let (socket, file) = SocketFile::bind(path, access)?;
            (listen(socket, backlog)?, Some(Name::Path(file)))
        }
        #[cfg(target_os = "linux")]
        Place::Abstract(name) => {
            let socket = unbound()?;
            socket.bind(&place::abstract_address(name)?)?;
            (listen(socket, backlog)?, Some(Name::Abstract))
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

pub(crate) fn unbound() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// From now on, clients can connect.
fn listen(socket: Socket, backlog: u32) -> io::Result<net::UnixListener> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
