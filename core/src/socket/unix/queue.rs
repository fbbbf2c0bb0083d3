//! The accept queue of a listening Unix socket, and the removal of its name in a drain.
use super::socket_file::SocketFile;
use crate::socket::{AcceptQueue, LONGEST_QUEUE, Owners};
use socket2::SockRef;
use std::{net::Shutdown, sync::Arc};

/// The name of a socket that this server bound, and gives up at its end.
#[derive(Debug)]
pub(super) enum Name {
    Path(SocketFile),
    #[cfg(target_os = "linux")]
    Abstract,
}

impl Name {
    /// Keeps new clients out, who are refused from now on, and removes the path. Who is queued
    /// already, can be accepted still.
    fn give_up(self, socket: &SockRef<'_>) {
        // Linux refuses connections to a listening socket that was shut down for reading
        // (`unix_stream_connect`), under the same lock that puts them into the queue. So between
        // the last accept and the close, nobody is lost. Where the system won't do it (ENOTCONN),
        // the path is gone at least.
        let _ = socket.shutdown(Shutdown::Read);
        match self {
            Self::Path(file) => drop(file),
            #[cfg(target_os = "linux")]
            Self::Abstract => {}
        }
    }
}

/// What's known about the kernel's queue of a listening Unix socket.
///
/// To be dropped before the socket: as long as that is open, no other file can be given its inode.
#[derive(Debug)]
pub struct UnixQueue {
    /// Shared by the workers that still take new clients; none for an adopted socket.
    name: Option<Arc<Name>>,
    queue: AcceptQueue,
}

impl UnixQueue {
    pub(super) fn new(name: Option<Arc<Name>>) -> Self {
        Self {
            name,
            // What others empty, too, is theirs: the other workers', or an adopted socket's
            // owners'.
            queue: AcceptQueue::new(Owners::Others),
        }
    }

    /// Keeps new clients out, if no other owner takes them. A connection is made and queued in one
    /// step: nobody is under way.
    pub fn stop(&mut self, socket: &SockRef<'_>) {
        let mut left = LONGEST_QUEUE;
        // As long as another worker still takes new clients, it serves them all.
        if let Some(name) = self.name.take().and_then(Arc::into_inner) {
            name.give_up(socket);
            left = usize::MAX;
        }
        self.queue.stop_after(left);
    }

    /// What it has in common with that of a TCP socket.
    #[cfg(target_os = "linux")]
    pub(in crate::socket) fn accept_queue(&mut self) -> &mut AcceptQueue {
        &mut self.queue
    }

    /// Whether the server drains: the kernel itself is asked for the next client then, since what a
    /// reactor knows is a little old.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.queue.is_stopped()
    }

    /// Whether there's nobody left in it for this listener.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.queue.is_over()
    }

    /// One has been accepted.
    pub fn count(&mut self) {
        self.queue.count();
    }

    /// Nobody's in it at the moment. Whether to wait for more: once the server drains, others may
    /// still get in, by a worker that isn't as far yet, or by an adopted socket's other owners;
    /// they're theirs.
    #[must_use]
    pub fn awaits_more(&mut self) -> bool {
        self.queue.awaits_more()
    }
}
