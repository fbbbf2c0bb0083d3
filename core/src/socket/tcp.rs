//! The builder of TCP transports on any runtime: address, options, number of workers.
use super::{BindAddr, Owners, SocketOptions, adopt, listen};
#[cfg(feature = "tokio")]
use crate::runtime::{Tokio, TokioPerCore};
use crate::{
    error::Result,
    runtime::{Runtime, RuntimeOptions, Worker, Workers},
    transport::{Endpoint, Listener, Transport},
};
use std::{fmt, io, marker::PhantomData, net, sync::Arc, time::Duration};

/// A listener over TCP, as a runtime has it. [`TcpTransport`] is the builder of all of them.
pub trait TcpListen: Listener + Sized {
    /// What the workers wait with, where the runtime leaves a choice: monoio's `Driver`. `()` where
    /// it leaves none.
    type Driver: Clone + Default + fmt::Debug + Send + Sync + 'static;

    /// How the runtime is told of the driver: [`Transport::runtime_options`]. Default: not at all.
    fn runtime_options(_driver: &Self::Driver) -> Option<RuntimeOptions> {
        None
    }

    /// Makes a listener of a socket that listens, inside the runtime of its worker. The `options`
    /// are set already, where connections inherit them from the socket
    /// ([`need_applying`](SocketOptions::need_applying)).
    ///
    /// # Errors
    ///
    /// The server doesn't start.
    fn new(
        socket: net::TcpListener,
        options: &SocketOptions,
        owners: Owners,
        worker: &Worker,
    ) -> io::Result<Self>;
}

/// TCP on the runtime `R`, whose listener is `L`: what the `Tcp`, `Monoio` and `Glommio` of the
/// transport crates are.
///
/// A runtime of your own gets it by implementing [`Runtime`] and [`TcpListen`], and one line:
/// `pub type MyTcp = TcpTransport<MyRuntime, MyListener>`.
pub struct TcpTransport<R, L: TcpListen> {
    place: Place,
    options: SocketOptions,
    workers: Workers,
    driver: L::Driver,
    runtime: PhantomData<fn() -> R>,
}

#[derive(Clone, Debug)]
enum Place {
    Bind(BindAddr),
    Adopt(Arc<net::TcpListener>),
}

impl<R: Runtime, L: TcpListen> TcpTransport<R, L> {
    /// Listens at an address. [`BindAddr`] says what it can be.
    pub fn bind(address: impl Into<BindAddr>) -> Self {
        Self::new(Place::Bind(address.into()))
    }

    /// Takes over a socket that listens already: inherited, activated, or bound elsewhere. Its
    /// options stay as they are; it's set to non-blocking.
    ///
    /// The socket may have other owners, so a drain can't keep new clients out: clients that come
    /// after the last accept are left to the other owners. If there are none, [`bind`](Self::bind)
    /// is better.
    pub fn from_std(listener: net::TcpListener) -> Self {
        Self::new(Place::Adopt(Arc::new(listener)))
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            options: SocketOptions::default(),
            workers: R::WORKERS,
            driver: L::Driver::default(),
            runtime: PhantomData,
        }
    }

    /// How many workers, each with a listening socket. Default: one on the ambient tokio; one per
    /// core on every other runtime, each with a thread of its own.
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

    /// How many connections the kernel queues until they're accepted. Default: 4096.
    #[must_use]
    pub fn with_backlog(mut self, backlog: u32) -> Self {
        self.options.backlog = backlog;
        self
    }

    /// Whether small writes are sent at once (TCP_NODELAY). Default: they are.
    #[must_use]
    pub fn with_nodelay(mut self, nodelay: bool) -> Self {
        self.options.nodelay = nodelay;
        self
    }

    /// Whether an IPv6 address takes no IPv4 connections (IPV6_V6ONLY). Default: it takes both.
    #[must_use]
    pub fn with_v6_only(mut self, v6_only: bool) -> Self {
        self.options.v6_only = v6_only;
        self
    }

    /// Probes connections that have been silent for this long. Default: never.
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

    /// All socket options at once.
    #[must_use]
    pub fn with_options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }
}

#[cfg(feature = "tokio")]
impl<L: TcpListen> TcpTransport<Tokio, L> {
    /// The same with a thread, a single-threaded tokio and a socket for each worker. Default: one
    /// worker per core; [`with_workers`](TcpTransport::with_workers) changes that.
    #[must_use]
    pub fn per_core(self) -> TcpTransport<TokioPerCore, L> {
        TcpTransport {
            place: self.place,
            options: self.options,
            workers: TokioPerCore::WORKERS,
            driver: self.driver,
            runtime: PhantomData,
        }
    }
}

impl<R: Runtime, L: TcpListen> Transport for TcpTransport<R, L> {
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
        match &self.place {
            Place::Bind(address) => listen(address, &self.options, workers),
            Place::Adopt(listener) => adopt(listener, workers),
        }
    }

    fn endpoint(&self, socket: &net::TcpListener) -> io::Result<Endpoint> {
        Ok(socket.local_addr()?.into())
    }

    fn listen(&self, socket: net::TcpListener, worker: &Worker) -> io::Result<L> {
        let owners = match &self.place {
            // Where SO_REUSEPORT does not spread connections, the workers have duplicates of one
            // socket.
            Place::Bind(_) if cfg!(target_os = "linux") || worker.count() == 1 => Owners::Us,
            Place::Bind(_) | Place::Adopt(_) => Owners::Others,
        };
        L::new(socket, &self.options, owners, worker)
    }
}

impl<R, L: TcpListen> Clone for TcpTransport<R, L> {
    fn clone(&self) -> Self {
        Self {
            place: self.place.clone(),
            options: self.options.clone(),
            workers: self.workers,
            driver: self.driver.clone(),
            runtime: PhantomData,
        }
    }
}

impl<R, L: TcpListen> fmt::Debug for TcpTransport<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport")
            .field("place", &self.place)
            .field("options", &self.options)
            .field("workers", &self.workers)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}
