//! The builder of Unix-socket transports on any runtime: path, permissions, number of workers.
use super::{Access, Source, UnixSocket, listen};
#[cfg(feature = "tokio")]
use crate::runtime::{Tokio, TokioPerCore};
use crate::{
    error::Result,
    runtime::{Runtime, RuntimeOptions, Worker, Workers},
    transport::{Endpoint, Listener, Transport},
};
use std::{fmt, io, marker::PhantomData, os::unix::net, path::PathBuf, sync::Arc};

/// The default length of the kernel's queue.
const BACKLOG: u32 = 4096;

/// A runtime's listener over Unix sockets. [`UnixTransport`] is the builder for all of them.
pub trait FromUnixSocket: Listener + Sized {
    /// The driver that the workers wait with, such as monoio's `Driver`. `()` if the runtime has
    /// only one.
    type Driver: Clone + Default + fmt::Debug + Send + Sync + 'static;

    /// The options that pass the driver to the runtime: [`Transport::runtime_options`]. Default:
    /// none.
    fn runtime_options(_driver: &Self::Driver) -> Option<RuntimeOptions> {
        None
    }

    /// Makes a listener of a listening socket, inside the worker's runtime.
    ///
    /// # Errors
    ///
    /// After an error the server does not start.
    fn new(socket: UnixSocket, worker: &Worker) -> io::Result<Self>;
}

/// Unix sockets on the runtime `R` with the listener `L`: the type behind `Unix`, `MonoioUnix` and
/// `GlommioUnix`. Several workers have duplicates of one socket.
///
/// [`ConnInfo::peer_cred`](crate::ConnInfo::peer_cred) has the credentials of the peer.
///
/// For a runtime of your own, implement [`Runtime`] and [`FromUnixSocket`], and write
/// `pub type MyUnix = UnixTransport<MyRuntime, MyListener>`.
pub struct UnixTransport<R, L: FromUnixSocket> {
    source: Source,
    access: Access,
    backlog: u32,
    workers: Workers,
    driver: L::Driver,
    runtime: PhantomData<fn() -> R>,
}

impl<R: Runtime, L: FromUnixSocket> UnixTransport<R, L> {
    /// Listens on a path of at most 107 bytes (103 on systems other than Linux).
    ///
    /// # Contract
    ///
    /// - **Permissions**: connecting requires the right to write to the file. By default, the file
    ///   has the user and group of the process, and the mode that the umask leaves. With the usual
    ///   022, only this user may connect. No client can connect before
    ///   [`with_mode`](Self::with_mode) and [`with_owner`](Self::with_owner) are applied.
    /// - **One server per path**: the server holds a lock on `PATH.lock` (flock(2); made with mode
    ///   0600) until it releases the path. Of several servers that start at once, one gets the
    ///   path.
    /// - **Existing files**: a socket that refuses connections, left by a server that has ended, is
    ///   replaced. Anything else is an error and stays: a socket with a listener, a file, a
    ///   directory, a symbolic link.
    /// - **Cleanup**: when the server stops accepting, it removes both files, unless other files
    ///   are at their paths by then. A drain keeps accepting for a while, then refuses new clients
    ///   and serves the queued ones. If the process is killed, both files stay, and the next server
    ///   replaces them.
    pub fn bind(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Path(path.into()))
    }

    /// Listens on a name of at most 107 bytes in Linux's abstract namespace, which has no file and
    /// needs no cleanup.
    ///
    /// Any process of the same network namespace may connect, as any user. If that matters, check
    /// [`ConnInfo::peer_cred`](crate::ConnInfo::peer_cred).
    #[cfg(target_os = "linux")]
    pub fn bind_abstract(name: impl AsRef<[u8]>) -> Self {
        Self::new(Source::Abstract(name.as_ref().into()))
    }

    /// Adopts a socket that listens already: inherited, activated, or bound elsewhere. It is set to
    /// non-blocking. The server changes nothing else about it or its file, even when it ends.
    ///
    /// The socket may have other owners, so a drain cannot refuse new clients: the other owners
    /// accept those that come after the last accept. If there are no other owners, prefer
    /// [`bind`](Self::bind).
    pub fn from_std(listener: net::UnixListener) -> Self {
        Self::new(Source::Adopt(Arc::new(listener)))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            access: Access::default(),
            backlog: BACKLOG,
            workers: R::WORKERS,
            driver: L::Driver::default(),
            runtime: PhantomData,
        }
    }

    /// The number of workers. Default: one on the ambient tokio. On every other runtime, one per
    /// core with a thread of its own.
    #[must_use]
    pub fn with_workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }

    /// The driver that the workers wait with. Default: the runtime's.
    #[must_use]
    pub fn with_driver(mut self, driver: L::Driver) -> Self {
        self.driver = driver;
        self
    }

    /// The mode of the socket's file, regardless of the umask: `0o660` allows its user and its
    /// group to connect, `0o666` all users. Default: 0o777 without the bits of the umask.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.access.mode = Some(mode);
        self
    }

    /// The user and the group of the socket's file, as numbers; `None` keeps the default. Default:
    /// those of the process.
    ///
    /// Only root may set another user. The group must be one of the process's, unless it is root.
    #[must_use]
    pub fn with_owner(mut self, user: Option<u32>, group: Option<u32>) -> Self {
        (self.access.user, self.access.group) = (user, group);
        self
    }

    /// The maximum number of connections that the kernel queues before they are accepted, limited
    /// by `net.core.somaxconn`. Default: 4096.
    #[must_use]
    pub fn with_backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }
}

#[cfg(feature = "tokio")]
impl<L: FromUnixSocket> UnixTransport<Tokio, L> {
    /// Gives each worker its own thread and single-threaded tokio. Default: one worker per core;
    /// [`with_workers`](UnixTransport::with_workers) changes that.
    #[must_use]
    pub fn per_core(self) -> UnixTransport<TokioPerCore, L> {
        UnixTransport {
            source: self.source,
            access: self.access,
            backlog: self.backlog,
            workers: TokioPerCore::WORKERS,
            driver: self.driver,
            runtime: PhantomData,
        }
    }
}

impl<R: Runtime, L: FromUnixSocket> Transport for UnixTransport<R, L> {
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
        listen(&self.source, self.access, self.backlog, workers)
    }

    fn endpoint(&self, socket: &UnixSocket) -> io::Result<Endpoint> {
        Ok(socket.listener().local_addr()?.into())
    }

    fn listen(&self, socket: UnixSocket, worker: &Worker) -> io::Result<L> {
        L::new(socket, worker)
    }
}

impl<R, L: FromUnixSocket> Clone for UnixTransport<R, L> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            access: self.access,
            backlog: self.backlog,
            workers: self.workers,
            driver: self.driver.clone(),
            runtime: PhantomData,
        }
    }
}

impl<R, L: FromUnixSocket> fmt::Debug for UnixTransport<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixTransport")
            .field("source", &self.source)
            .field("access", &self.access)
            .field("backlog", &self.backlog)
            .field("workers", &self.workers)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}
