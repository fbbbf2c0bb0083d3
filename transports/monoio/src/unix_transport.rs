//! Which Unix socket to listen at, who may connect, and what the workers wait with.
use crate::{Driver, MonoioPerCore, MonoioUnixListener, runtime};
use anyport_core::{
    Endpoint, Result, Runtime, Transport, Worker, Workers,
    runtime::RuntimeOptions,
    socket::unix::{self, Access, Place, UnixSocket},
};
use std::{io, os::unix::net, path::PathBuf, sync::Arc};

/// How many connections wait to be accepted.
const BACKLOG: u32 = 4096;

/// Unix sockets on monoio: each worker has a thread and a ring (io_uring); they have duplicates of one socket.
///
/// The rest is as with [`Monoio`](crate::Monoio). An app learns who connected from [`ConnInfo::peer_cred`](anyport_core::ConnInfo::peer_cred).
///
/// ```
/// # use anyport_monoio::MonoioUnix;
/// let group_only = MonoioUnix::bind("/run/app.sock").with_mode(0o660);
/// ```
#[derive(Clone, Debug)]
pub struct MonoioUnix {
    place: Place,
    access: Access,
    backlog: u32,
    workers: Workers,
    driver: Driver,
}

impl MonoioUnix {
    /// Listens at a path of at most 107 bytes.
    ///
    /// # Contract
    ///
    /// - **Who may connect** is up to the file's mode and owner: connecting takes the right to write. By default, they're what the process makes of them.
    ///   Nobody can connect before [`with_mode`](Self::with_mode) and [`with_owner`](Self::with_owner) have been done.
    /// - **One server per path**: it holds a lock on `PATH.lock` (flock(2)) until the path is given up.
    /// - **What's there already** is replaced only if it's a socket that refuses connections, left by a server that is gone.
    /// - **The end**: when the server stops to accept, both files are removed, unless there are others at their paths by then.
    pub fn bind(path: impl Into<PathBuf>) -> Self {
        Self::new(Place::Path(path.into()))
    }

    /// Listens at a name of at most 107 bytes in Linux's abstract namespace: no file, nothing to clean up.
    ///
    /// Any process of the same network namespace may connect, whoever's it is: let
    /// [`ConnInfo::peer_cred`](anyport_core::ConnInfo::peer_cred) decide if that matters.
    pub fn bind_abstract(name: impl AsRef<[u8]>) -> Self {
        Self::new(Place::Abstract(name.as_ref().into()))
    }

    /// Takes over a socket that's listening already: inherited, activated, or bound elsewhere. It's set to non-blocking; apart from that, it
    /// and its file stay as they are, also at the end. Its other owners are left those clients that come after the last accept of a drain.
    pub fn from_std(listener: net::UnixListener) -> Self {
        Self::new(Place::Adopt(Arc::new(listener)))
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            access: Access::default(),
            backlog: BACKLOG,
            workers: MonoioPerCore::WORKERS,
            driver: Driver::Auto,
        }
    }

    /// What the workers wait with. Default: io_uring, or epoll where that's refused.
    #[must_use]
    pub fn with_driver(mut self, driver: Driver) -> Self {
        self.driver = driver;
        self
    }

    /// How many workers, each with a thread. Default: one per core.
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
    #[must_use]
    pub fn with_owner(mut self, user: Option<u32>, group: Option<u32>) -> Self {
        (self.access.user, self.access.group) = (user, group);
        self
    }

    /// How many connections the kernel queues until they're accepted. Default: 4096.
    #[must_use]
    pub fn with_backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }
}

impl Transport for MonoioUnix {
    type Runtime = MonoioPerCore;
    type Socket = UnixSocket;
    type Listener = MonoioUnixListener;

    fn workers(&self) -> Workers {
        self.workers
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        Some(Arc::new(self.driver))
    }

    fn open(&self, workers: usize) -> Result<Vec<UnixSocket>> {
        unix::listen(&self.place, self.access, self.backlog, workers)
    }

    fn endpoint(&self, socket: &UnixSocket) -> io::Result<Endpoint> {
        Ok(socket.listener().local_addr()?.into())
    }

    fn listen(&self, socket: UnixSocket, worker: &Worker) -> io::Result<MonoioUnixListener> {
        runtime::tell_refusal(worker);
        MonoioUnixListener::new(socket)
    }
}
