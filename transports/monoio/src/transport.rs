//! Where to listen, with which options, and what the workers wait with.
use crate::{Driver, MonoioListener, MonoioPerCore, runtime};
use anyport_core::{
    Endpoint, Result, Runtime, Transport, Worker, Workers, delegate_options,
    runtime::RuntimeOptions,
    socket::{self, BindAddr, Owners, SocketOptions},
};
use std::{io, net, sync::Arc};

/// TCP on monoio: each worker has a thread, a ring (io_uring) and a socket of its own (SO_REUSEPORT).
///
/// Nothing moves between threads, so the app may be `!Send` (`per_worker(..)`). Where io_uring is refused, the workers wait with epoll; see [`Driver`].
///
/// ```
/// # use anyport_monoio::{Driver, Monoio};
/// # use std::time::Duration;
/// let per_core = Monoio::bind("127.0.0.1:3000").with_keepalive(Duration::from_secs(60));
/// let two_workers = Monoio::bind(3000).with_workers(2);
/// let never_epoll = Monoio::bind(3000).with_driver(Driver::IoUring);
/// ```
#[derive(Clone, Debug)]
pub struct Monoio {
    place: Place,
    options: SocketOptions,
    workers: Workers,
    driver: Driver,
}

#[derive(Clone, Debug)]
enum Place {
    Bind(BindAddr),
    Adopt(Arc<net::TcpListener>),
}

impl Monoio {
    /// Listens at an address; [`BindAddr`] tells what it can be.
    pub fn bind(address: impl Into<BindAddr>) -> Self {
        Self::new(Place::Bind(address.into()))
    }

    /// Takes over a socket that's listening already: inherited, activated, or bound elsewhere. Its options stay as they are; it's set to
    /// non-blocking.
    ///
    /// It may have other owners, so a drain can't keep new clients out: those that come after its last accept are left to the others. Who has
    /// none, should [`bind`](Self::bind).
    pub fn from_std(listener: net::TcpListener) -> Self {
        Self::new(Place::Adopt(Arc::new(listener)))
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            options: SocketOptions::default(),
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

    /// How many workers, each with a thread and a listening socket. Default: one per core.
    #[must_use]
    pub fn with_workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }
}

delegate_options!(impl for Monoio => options);

impl Transport for Monoio {
    type Runtime = MonoioPerCore;
    type Socket = net::TcpListener;
    type Listener = MonoioListener;

    fn workers(&self) -> Workers {
        self.workers
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        Some(Arc::new(self.driver))
    }

    fn open(&self, workers: usize) -> Result<Vec<net::TcpListener>> {
        match &self.place {
            Place::Bind(address) => socket::listen(address, &self.options, workers),
            Place::Adopt(listener) => socket::adopt(listener, workers),
        }
    }

    fn endpoint(&self, socket: &net::TcpListener) -> io::Result<Endpoint> {
        Ok(socket.local_addr()?.into())
    }

    fn listen(&self, socket: net::TcpListener, worker: &Worker) -> io::Result<MonoioListener> {
        runtime::tell_refusal(worker);
        let owners = match &self.place {
            Place::Bind(_) => Owners::Us,
            Place::Adopt(_) => Owners::Others,
        };
        MonoioListener::new(socket, owners)
    }
}
