//! Where to listen, and with which options.
use crate::{GlommioListener, GlommioPerCore};
use anyport_core::{
    Endpoint, Result, Runtime, Transport, Worker, Workers, delegate_options,
    socket::{self, BindAddr, Owners, SocketOptions},
};
use std::{io, net, sync::Arc};

/// TCP on glommio: each worker has a thread, an executor and a socket of its own (SO_REUSEPORT).
///
/// Nothing moves between threads, so the app may be `!Send` (`per_worker(..)`). It needs io_uring, and the right to lock 512 KiB of memory; the server doesn't start
/// without.
///
/// ```
/// # use anyport_glommio::Glommio;
/// # use std::time::Duration;
/// let per_core = Glommio::bind("127.0.0.1:3000").with_keepalive(Duration::from_secs(60));
/// let two_workers = Glommio::bind(3000).with_workers(2);
/// ```
#[derive(Clone, Debug)]
pub struct Glommio {
    place: Place,
    options: SocketOptions,
    workers: Workers,
}

#[derive(Clone, Debug)]
enum Place {
    Bind(BindAddr),
    Adopt(Arc<net::TcpListener>),
}

impl Glommio {
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
            workers: GlommioPerCore::WORKERS,
        }
    }

    /// How many workers, each with a thread and a listening socket. Default: one per core.
    #[must_use]
    pub fn with_workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }
}

delegate_options!(impl for Glommio => options);

impl Transport for Glommio {
    type Runtime = GlommioPerCore;
    type Socket = net::TcpListener;
    type Listener = GlommioListener;

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

    fn listen(&self, socket: net::TcpListener, _: &Worker) -> io::Result<GlommioListener> {
        let owners = match &self.place {
            Place::Bind(_) => Owners::Us,
            Place::Adopt(_) => Owners::Others,
        };
        GlommioListener::new(socket, owners)
    }
}
