//! Where to listen, with which options, on which kind of tokio.
use crate::TcpListener;
use anyport_core::{
    Endpoint, Result, Runtime, Transport, Worker, Workers, delegate_options,
    runtime::{Tokio, TokioPerCore},
    socket::{self, BindAddr, Owners, SocketOptions},
};
use std::{fmt, io, marker::PhantomData, net, sync::Arc};

/// TCP on tokio.
///
/// [`bind`](Self::bind) runs on the tokio that the server is started in, which moves connections between its threads, so the app must be
/// `Send`. [`per_core`](Self::per_core) gives each worker a thread, a single-threaded tokio and a socket of its own (SO_REUSEPORT): nothing
/// moves, and the app may be `!Send`.
///
/// ```
/// # use anyport_tcp::Tcp;
/// # use std::time::Duration;
/// let ambient = Tcp::bind("127.0.0.1:3000").with_keepalive(Duration::from_secs(60));
/// let per_core = Tcp::bind(3000).per_core();
/// let two_workers = Tcp::bind(3000).per_core().with_workers(2);
/// ```
pub struct Tcp<R = Tokio> {
    place: Place,
    options: SocketOptions,
    workers: Workers,
    runtime: PhantomData<fn() -> R>,
}

#[derive(Clone, Debug)]
enum Place {
    Bind(BindAddr),
    Adopt(Arc<net::TcpListener>),
}

impl Tcp {
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
            workers: Tokio::WORKERS,
            runtime: PhantomData,
        }
    }

    /// The same with a thread, a single-threaded tokio and a socket for each worker; one worker per core, unless
    /// [`with_workers`](Tcp::with_workers) says otherwise.
    #[must_use]
    pub fn per_core(self) -> Tcp<TokioPerCore> {
        Tcp {
            place: self.place,
            options: self.options,
            workers: TokioPerCore::WORKERS,
            runtime: PhantomData,
        }
    }
}

impl<R: Runtime> Tcp<R> {
    /// How many workers, each with a listening socket. Default: one on the ambient tokio, one per core with
    /// [`per_core`](Tcp::per_core).
    #[must_use]
    pub fn with_workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }
}

delegate_options!(impl<R: [Runtime]> for Tcp<R> => options);

impl<R: Runtime> Transport for Tcp<R> {
    type Runtime = R;
    type Socket = net::TcpListener;
    type Listener = TcpListener;

    fn workers(&self) -> Workers {
        self.workers
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

    fn listen(&self, socket: net::TcpListener, worker: &Worker) -> io::Result<TcpListener> {
        let owners = match &self.place {
            // Where there's no SO_REUSEPORT that spreads connections, workers have duplicates.
            Place::Bind(_) if cfg!(target_os = "linux") || worker.count() == 1 => Owners::Us,
            Place::Bind(_) | Place::Adopt(_) => Owners::Others,
        };
        TcpListener::new(socket, self.options.clone(), owners)
    }
}

impl<R> Clone for Tcp<R> {
    fn clone(&self) -> Self {
        Self {
            place: self.place.clone(),
            options: self.options.clone(),
            workers: self.workers,
            runtime: PhantomData,
        }
    }
}

impl<R> fmt::Debug for Tcp<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp")
            .field("place", &self.place)
            .field("options", &self.options)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
