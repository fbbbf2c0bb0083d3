//! The accept queue of a listening Unix socket, and the removal of its name in a drain.
use super::socket_file::SocketFile;
use crate::socket::{AcceptQueue, MAX_BACKLOG, Ownership};
use socket2::SockRef;
use std::{net::Shutdown, sync::Arc};

/// The name of a socket that this server bound. The server releases it when it stops accepting.
#[derive(Debug)]
pub(super) enum BoundName {
    Path(SocketFile),
    #[cfg(target_os = "linux")]
    Abstract,
}

impl BoundName {
    /// Refuses new clients and removes the path. Queued clients can still be accepted.
    fn refuse_clients(self, socket: &SockRef<'_>) {
        // Linux refuses connections to a listening socket that was shut down for reading
        // (`unix_stream_connect`), under the lock of the queue. So no client is lost between the
        // last accept and the close. On systems that refuse this shutdown (ENOTCONN), at least the
        // path is removed.
        let _ = socket.shutdown(Shutdown::Read);
        match self {
            Self::Path(file) => drop(file),
            #[cfg(target_os = "linux")]
            Self::Abstract => {}
        }
    }
}

/// The state of the kernel's queue of a listening Unix socket.
///
/// Drop it before the socket. While the socket is open, no other file can get the inode of its
/// file.
#[derive(Debug)]
pub struct UnixQueue {
    /// Shared by the workers that still accept new clients. `None` for an adopted socket.
    name: Option<Arc<BoundName>>,
    queue: AcceptQueue,
}

impl UnixQueue {
    pub(super) fn new(name: Option<Arc<BoundName>>) -> Self {
        Self {
            name,
            // The other workers, or the other owners of an adopted socket, accept from it, too.
            queue: AcceptQueue::new(Ownership::Shared),
        }
    }

    /// Refuses new clients, if this is the last owner. The kernel connects and queues a client in
    /// one step, so none is in flight.
    pub fn stop(&mut self, socket: &SockRef<'_>) {
        let mut remaining = MAX_BACKLOG;
        // If another worker still accepts new clients, it accepts all later ones.
        if let Some(name) = self.name.take().and_then(Arc::into_inner) {
            name.refuse_clients(socket);
            remaining = usize::MAX;
        }
        self.queue.stop_after(remaining);
    }

    /// The part that a Unix socket's queue has in common with a TCP socket's queue.
    #[cfg(target_os = "linux")]
    pub(in crate::socket) fn accept_queue(&mut self) -> &mut AcceptQueue {
        &mut self.queue
    }

    /// Whether the server is draining. Then the listener calls accept without waiting for
    /// readiness, which may be out of date.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.queue.is_stopped()
    }

    /// Whether no client remains for this listener.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.queue.is_drained()
    }

    /// Records an accepted client.
    pub fn record_accept(&mut self) {
        self.queue.record_accept();
    }

    /// Called when the queue is empty: whether to wait for more clients. During a drain, the other
    /// workers or owners accept later clients.
    #[must_use]
    pub fn should_wait(&mut self) -> bool {
        self.queue.should_wait()
    }
}
