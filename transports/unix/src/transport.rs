//! Where to listen, who may connect, on which kind of tokio.
use crate::{UnixListener, UnixSocket};
use anyport_core::{
    Endpoint, Result, Runtime, Transport, Worker, Workers,
    runtime::{Tokio, TokioPerCore},
    socket::unix::{self, Access, Place},
};
use std::{fmt, io, marker::PhantomData, os::unix::net, path::PathBuf, sync::Arc};

/// How many connections wait to be accepted.
const BACKLOG: u32 = 4096;

/// Unix sockets on tokio.
///
/// [`bind`](Self::bind) runs on the tokio that the server is started in, which moves connections between its threads, so the app must be
/// `Send`. [`per_core`](Self::per_core) gives each worker a thread and a single-threaded tokio of its own: nothing moves, and the app may be
/// `!Send`. The workers have duplicates of one socket.
///
/// An app learns who connected from [`ConnInfo::peer_cred`](anyport_core::ConnInfo::peer_cred).
///
/// ```
/// # use anyport_unix::Unix;
/// let ambient = Unix::bind("/run/app.sock").with_mode(0o660);
/// let per_core = Unix::bind("/run/app.sock").per_core();
/// let two_workers = Unix::bind("/run/app.sock").per_core().with_workers(2);
/// ```
pub struct Unix<R = Tokio> {
    place: Place,
    access: Access,
    backlog: u32,
    workers: Workers,
    runtime: PhantomData<fn() -> R>,
}

impl Unix {
    /// Listens at a path of at most 107 bytes (103 on systems other than Linux).
    ///
    /// # Contract
    ///
    /// - **Who may connect** is up to the file's mode and owner: connecting takes the right to write. By default, they're what the process makes of them: its
    ///   user and group, and all rights that the umask leaves (with the usual 022, only its own user may connect). Nobody can connect before
    ///   [`with_mode`](Unix::with_mode) and [`with_owner`](Unix::with_owner) have been done.
    /// - **One server per path**: it holds a lock on `PATH.lock` (flock(2); made with mode 0600) until the path is given up. Of servers that race for a path, one
    ///   gets it.
    /// - **What's there already** is replaced only if it's a socket that refuses connections, left by a server that is gone. Whatever else is there, is an
    ///   error, and stays as it is: a socket that somebody listens at, a file, a directory, a symbolic link.
    /// - **The end**: when the server stops to accept, both files are removed, unless there are others at their paths by then. A drain keeps accepting for a
    ///   while, then refuses new clients and serves those that wait. Without a drain, so if the process is killed, both files stay, and the next
    ///   server replaces them.
    pub fn bind(path: impl Into<PathBuf>) -> Self {
        Self::new(Place::Path(path.into()))
    }

    /// Listens at a name of at most 107 bytes in Linux's abstract namespace: no file, nothing to clean up.
    ///
    /// Any process of the same network namespace may connect, whoever's it is: let
    /// [`ConnInfo::peer_cred`](anyport_core::ConnInfo::peer_cred) decide if that matters.
    #[cfg(target_os = "linux")]
    pub fn bind_abstract(name: impl AsRef<[u8]>) -> Self {
        Self::new(Place::Abstract(name.as_ref().into()))
    }

    /// Takes over a socket that's listening already: inherited, activated, or bound elsewhere. It's set to non-blocking; apart from that, it
    /// and its file stay as they are, also at the end.
    ///
    /// It may have other owners, so a drain can't keep new clients out: those that come after its last accept are left to the others. Who has
    /// none, should [`bind`](Self::bind).
    pub fn from_std(listener: net::UnixListener) -> Self {
        Self::new(Place::Adopt(Arc::new(listener)))
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            access: Access::default(),
            backlog: BACKLOG,
            workers: Tokio::WORKERS,
            runtime: PhantomData,
        }
    }

    /// The same with a thread and a single-threaded tokio for each worker; one worker per core, unless
    /// [`with_workers`](Unix::with_workers) says otherwise.
    #[must_use]
    pub fn per_core(self) -> Unix<TokioPerCore> {
        Unix {
            place: self.place,
            access: self.access,
            backlog: self.backlog,
            workers: TokioPerCore::WORKERS,
            runtime: PhantomData,
        }
    }
}

impl<R: Runtime> Unix<R> {
    /// How many workers. Default: one on the ambient tokio, one per core with [`per_core`](Unix::per_core).
    #[must_use]
    pub fn with_workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }

    /// The mode of the socket's file, whatever the umask is: `0o660` lets its user and its group connect, `0o666` everybody. Default: what the umask
    /// leaves of 0o777.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.access.mode = Some(mode);
        self
    }

    /// The user and the group that the socket's file belongs to, by their numbers; `None` leaves it as it is. Default: those of the process.
    ///
    /// Only root gives files to other users; a user may choose among its groups.
    #[must_use]
    pub fn with_owner(mut self, user: Option<u32>, group: Option<u32>) -> Self {
        (self.access.user, self.access.group) = (user, group);
        self
    }

    /// How many connections the kernel queues until they're accepted. Default: 4096 (or `net.core.somaxconn`, if that's less).
    #[must_use]
    pub fn with_backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }
}

impl<R: Runtime> Transport for Unix<R> {
    type Runtime = R;
    type Socket = UnixSocket;
    type Listener = UnixListener;

    fn workers(&self) -> Workers {
        self.workers
    }

    fn open(&self, workers: usize) -> Result<Vec<UnixSocket>> {
        unix::listen(&self.place, self.access, self.backlog, workers)
    }

    fn endpoint(&self, socket: &UnixSocket) -> io::Result<Endpoint> {
        Ok(socket.listener().local_addr()?.into())
    }

    fn listen(&self, socket: UnixSocket, _: &Worker) -> io::Result<UnixListener> {
        UnixListener::new(socket)
    }
}

impl<R> Clone for Unix<R> {
    fn clone(&self) -> Self {
        Self {
            place: self.place.clone(),
            access: self.access,
            backlog: self.backlog,
            workers: self.workers,
            runtime: PhantomData,
        }
    }
}

impl<R> fmt::Debug for Unix<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unix")
            .field("place", &self.place)
            .field("access", &self.access)
            .field("backlog", &self.backlog)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
