//! The builder of TCP transports on any runtime: address, options, number of workers.
use super::{BindAddr, Ownership, SocketOptions, adopt, listen};
#[cfg(feature = "tokio")]
use crate::runtime::{Tokio, TokioPerCore};
use crate::{
    error::Result,
    runtime::{Runtime, RuntimeOptions, Worker, Workers},
    transport::{Endpoint, Listener, Transport},
};
use std::{fmt, io, marker::PhantomData, net, sync::Arc, time::Duration};

/// A runtime's listener over TCP. [`TcpTransport`] is the builder for all of them.
pub trait FromTcpSocket: Listener + Sized {
    /// The driver that the workers wait with, such as monoio's `Driver`. `()` if the runtime has
    /// only one.
    type Driver: Clone + Default + fmt::Debug + Send + Sync + 'static;

    /// The options that pass the driver to the runtime: [`Transport::runtime_options`]. Default:
    /// none.
    fn runtime_options(_driver: &Self::Driver) -> Option<RuntimeOptions> {
        None
    }

    /// Makes a listener of a listening socket, inside the worker's runtime. Options that
    /// connections inherit are set already ([`need_applying`](SocketOptions::need_applying)).
    ///
    /// # Errors
    ///
    /// After an error the server does not start.
    fn new(
        socket: net::TcpListener,
        options: &SocketOptions,
        ownership: Ownership,
        worker: &Worker,
    ) -> io::Result<Self>;
}

/// TCP on the runtime `R` with the listener `L`: the type behind `Tcp`, `Monoio` and `Glommio`.
///
/// For a runtime of your own, implement [`Runtime`] and [`FromTcpSocket`], and write `pub type
/// MyTcp = TcpTransport<MyRuntime, MyListener>`.
pub struct TcpTransport<R, L: FromTcpSocket> {
    source: Source,
    options: SocketOptions,
    workers: Workers,
    driver: L::Driver,
    runtime: PhantomData<fn() -> R>,
}

#[derive(Clone, Debug)]
enum Source {
    Bind(BindAddr),
    Adopt(Arc<net::TcpListener>),
}

impl<R: Runtime, L: FromTcpSocket> TcpTransport<R, L> {
    /// Listens on an address: see [`BindAddr`].
    pub fn bind(address: impl Into<BindAddr>) -> Self {
        Self::new(Source::Bind(address.into()))
    }

    /// Adopts a socket that listens already: inherited, activated, or bound elsewhere. It is set to
    /// non-blocking; its options stay as they are.
    ///
    /// The socket may have other owners, so a drain cannot refuse new clients: those after the
    /// last accept are left to the other owners. If there are none, prefer [`bind`](Self::bind).
    pub fn from_std(listener: net::TcpListener) -> Self {
        Self::new(Source::Adopt(Arc::new(listener)))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            options: SocketOptions::default(),
            workers: R::WORKERS,
            driver: L::Driver::default(),
            runtime: PhantomData,
        }
    }

    /// The number of workers, each with its own listening socket. Default: one on the ambient
    /// tokio. On every other runtime, one per core with a thread of its own.
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

    /// The maximum number of connections that the kernel queues before they are accepted, 4096 by
    /// default.
    #[must_use]
    pub fn with_backlog(mut self, backlog: u32) -> Self {
        self.options.backlog = backlog;
        self
    }

    /// Whether small writes are sent at once (TCP_NODELAY). Default: yes.
    #[must_use]
    pub fn with_nodelay(mut self, nodelay: bool) -> Self {
        self.options.nodelay = nodelay;
        self
    }

    /// Whether an IPv6 address refuses IPv4 connections (IPV6_V6ONLY). Default: no.
    #[must_use]
    pub fn with_v6_only(mut self, v6_only: bool) -> Self {
        self.options.v6_only = v6_only;
        self
    }

    /// Sends keep-alive probes on connections idle for this long. Default: never.
    #[must_use]
    pub fn with_keepalive(mut self, idle: Duration) -> Self {
        self.options.keepalive = Some(idle);
        self
    }

    /// How long sent data may stay unacknowledged (TCP_USER_TIMEOUT; Linux only). Default: the
    /// kernel's.
    #[must_use]
    pub fn with_user_timeout(mut self, timeout: Duration) -> Self {
        self.options.user_timeout = Some(timeout);
        self
    }

    /// Sets all socket options.
    #[must_use]
    pub fn with_options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }
}

#[cfg(feature = "tokio")]
impl<L: FromTcpSocket> TcpTransport<Tokio, L> {
    /// Gives each worker its own thread, single-threaded tokio and socket. Default: one worker per
    /// core; [`with_workers`](TcpTransport::with_workers) changes that.
    #[must_use]
    pub fn per_core(self) -> TcpTransport<TokioPerCore, L> {
        TcpTransport {
            source: self.source,
            options: self.options,
            workers: TokioPerCore::WORKERS,
            driver: self.driver,
            runtime: PhantomData,
        }
    }
}

impl<R: Runtime, L: FromTcpSocket> Transport for TcpTransport<R, L> {
    type Runtime = R;
    type Socket = net::TcpListener;
    type Listener = L;

    fn workers(&self) -> Workers {
        self.workers
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        L::runtime_options(&self.driver)
    }

    fn open(&self, workers: usize) -> Result<Vec<net::TcpListener>> {
        match &self.source {
            Source::Bind(address) => listen(address, &self.options, workers),
            Source::Adopt(listener) => adopt(listener, workers),
        }
    }

    fn endpoint(&self, socket: &net::TcpListener) -> io::Result<Endpoint> {
        Ok(socket.local_addr()?.into())
    }

    fn listen(&self, socket: net::TcpListener, worker: &Worker) -> io::Result<L> {
        let ownership = match &self.source {
            // On systems where SO_REUSEPORT does not distribute connections, the workers share one
            // socket.
            Source::Bind(_) if cfg!(target_os = "linux") || worker.count() == 1 => {
                Ownership::Exclusive
            }
            Source::Bind(_) | Source::Adopt(_) => Ownership::Shared,
        };
        L::new(socket, &self.options, ownership, worker)
    }
}

impl<R, L: FromTcpSocket> Clone for TcpTransport<R, L> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            options: self.options.clone(),
            workers: self.workers,
            driver: self.driver.clone(),
            runtime: PhantomData,
        }
    }
}

impl<R, L: FromTcpSocket> fmt::Debug for TcpTransport<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport")
            .field("source", &self.source)
            .field("options", &self.options)
            .field("workers", &self.workers)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}
