//! The builder of Unix-socket transports on any runtime: path, permissions, number of workers.
use super::{Access, Place, UnixSocket, listen};
#[cfg(feature = "tokio")]
use crate::runtime::{Tokio, TokioPerCore};
use crate::{
    error::Result,
    runtime::{Runtime, RuntimeOptions, Worker, Workers},
    transport::{Endpoint, Listener, Transport},
};
use std::{fmt, io, marker::PhantomData, os::unix::net, path::PathBuf, sync::Arc};

/// How many connections wait to be accepted.
const BACKLOG: u32 = 4096;

/// A listener over Unix sockets, as a runtime has it. [`UnixTransport`] is the builder of all of
/// them.
pub trait UnixListen: Listener + Sized {
    /// What the workers wait with, where the runtime leaves a choice: monoio's `Driver`. `()` where
    /// it leaves none.
    type Driver: Clone + Default + fmt::Debug + Send + Sync + 'static;

    /// How the runtime is told of the driver: [`Transport::runtime_options`]. Default: not at all.
    fn runtime_options(_driver: &Self::Driver) -> Option<RuntimeOptions> {
        None
    }

    /// Makes a listener of a socket that listens, inside the runtime of its worker.
    ///
    /// # Errors
    ///
    /// The server doesn't start.
    fn new(socket: UnixSocket, worker: &Worker) -> io::Result<Self>;
}

/// Unix sockets on the runtime `R`, whose listener is `L`: what the `Unix`, `MonoioUnix` and
/// `GlommioUnix` of the transport crates are. Several workers have duplicates of one socket.
///
/// An app learns who connected from [`ConnInfo::peer_cred`](crate::ConnInfo::peer_cred).
///
/// A runtime of your own gets it by implementing [`Runtime`] and [`UnixListen`], and one line:
/// `pub type MyUnix = UnixTransport<MyRuntime, MyListener>`.
pub struct UnixTransport<R, L: UnixListen> {
    place: Place,
    access: Access,
    backlog: u32,
    workers: Workers,
    driver: L::Driver,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime, L: UnixListen> UnixTransport<R, L> {
    /// Listens at a path of at most 107 bytes (103 on systems other than Linux).
    ///
    /// # Contract
    ///
    /// - **Who may connect** is up to the file's mode and owner: connecting takes the right to
    ///   write. By default, they are what the process makes of them: its user and group, and all
    ///   rights that the umask leaves (with the usual 022, only its own user may connect). Nobody
    ///   can connect before [`with_mode`](Self::with_mode) and [`with_owner`](Self::with_owner)
    ///   have been done.
    /// - **One server per path**: it holds a lock on `PATH.lock` (flock(2); made with mode 0600)
    ///   until the path is given up. Of servers that race for a path, one gets it.
    /// - **What's there already** is replaced only if it's a socket that refuses connections, left
    ///   by a server that is gone. Whatever else is there is an error, and stays as it is: a socket
    ///   that somebody listens at, a file, a directory, a symbolic link.
    /// - **The end**: when the server stops to accept, both files are removed, unless there are
    ///   others at their paths by then. A drain keeps accepting for a while, then refuses new
    ///   clients and serves those that wait. Without a drain, so if the process is killed, both
    ///   files stay, and the next server replaces them.
    pub fn bind(path: impl Into<PathBuf>) -> Self {
        Self::new(Place::Path(path.into()))
    }

    /// Listens at a name of at most 107 bytes in Linux's abstract namespace: no file, nothing to
    /// clean up.
    ///
    /// Any process of the same network namespace may connect, whoever's it is: let
    /// [`ConnInfo::peer_cred`](crate::ConnInfo::peer_cred) decide if that matters.
    #[cfg(target_os = "linux")]
    pub fn bind_abstract(name: impl AsRef<[u8]>) -> Self {
        Self::new(Place::Abstract(name.as_ref().into()))
    }

    /// Takes over a socket that listens already: inherited, activated, or bound elsewhere. It's set
    /// to non-blocking; apart from that, it and its file stay as they are, also at the end.
    ///
    /// The socket may have other owners, so a drain can't keep new clients out: clients that come
    /// after the last accept are left to the other owners. If there are none, [`bind`](Self::bind)
    /// is better.
    pub fn from_std(listener: net::UnixListener) -> Self {
        Self::new(Place::Adopt(Arc::new(listener)))
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            access: Access::default(),
            backlog: BACKLOG,
            workers: R::WORKERS,
            driver: L::Driver::default(),
            runtime: PhantomData,
        }
    }

    /// How many workers. Default: one on the ambient tokio; one per core on every other runtime,
    /// each with a thread of its own.
    #[must_use]
    pub fn with_workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }

    /// What the workers wait with, where the runtime leaves a choice. Default: the runtime's.
    #[must_use]
    pub fn with_driver(mut self, driver: L::Driver) -> Self {
        self.driver = driver;
        self
    }

    /// The mode of the socket's file, whatever the umask is: `0o660` lets its user and its group
    /// connect, `0o666` everybody. Default: what the umask leaves of 0o777.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.access.mode = Some(mode);
        self
    }

    /// The user and the group that the socket's file belongs to, by their numbers; `None` leaves it
    /// as it is. Default: those of the process.
    ///
    /// Only root gives files to other users; a user may choose among its groups.
    #[must_use]
    pub fn with_owner(mut self, user: Option<u32>, group: Option<u32>) -> Self {
        (self.access.user, self.access.group) = (user, group);
        self
    }

    /// How many connections the kernel queues until they're accepted. Default: 4096 (or
    /// `net.core.somaxconn`, if that's less).
    #[must_use]
    pub fn with_backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }
}

#[cfg(feature = "tokio")]
impl<L: UnixListen> UnixTransport<Tokio, L> {
    /// The same with a thread and a single-threaded tokio for each worker. Default: one worker per
    /// core; [`with_workers`](UnixTransport::with_workers) changes that.
    #[must_use]
    pub fn per_core(self) -> UnixTransport<TokioPerCore, L> {
        UnixTransport {
            place: self.place,
            access: self.access,
            backlog: self.backlog,
            workers: TokioPerCore::WORKERS,
            driver: self.driver,
            runtime: PhantomData,
        }
    }
}

impl<R: Runtime, L: UnixListen> Transport for UnixTransport<R, L> {
    type Runtime = R;
    type Socket = UnixSocket;
    type Listener = L;

    fn workers(&self) -> Workers {
        self.workers
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        L::runtime_options(&self.driver)
    }

    fn open(&self, workers: usize) -> Result<Vec<UnixSocket>> {
        listen(&self.place, self.access, self.backlog, workers)
    }

    fn endpoint(&self, socket: &UnixSocket) -> io::Result<Endpoint> {
        Ok(socket.listener().local_addr()?.into())
    }

    fn listen(&self, socket: UnixSocket, worker: &Worker) -> io::Result<L> {
        L::new(socket, worker)
    }
}

impl<R, L: UnixListen> Clone for UnixTransport<R, L> {
    fn clone(&self) -> Self {
        Self {
            place: self.place.clone(),
            access: self.access,
            backlog: self.backlog,
            workers: self.workers,
            driver: self.driver.clone(),
            runtime: PhantomData,
        }
    }
}

impl<R, L: UnixListen> fmt::Debug for UnixTransport<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixTransport")
            .field("place", &self.place)
            .field("access", &self.access)
            .field("backlog", &self.backlog)
            .field("workers", &self.workers)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}
