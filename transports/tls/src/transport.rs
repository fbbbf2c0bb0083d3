//! The transport, which wraps another one.
use crate::{TlsConfig, TlsListener, worker_tls::WorkerTls};
use anyport_core::{
    Result, Runtime, Transport,
    runtime::{RuntimeOptions, Worker, Workers},
    transport::{ByteTransport, Endpoint},
};
use std::{io, num::NonZeroUsize, sync::Arc, thread};

/// TLS over another transport: `Tcp::bind(443).tls(config)`.
///
/// A certificate or a key that cannot be used is an error at start, before the inner transport
/// binds an address.
#[derive(Clone, Debug)]
pub struct Tls<T> {
    inner: T,
    config: TlsConfig,
}

impl<T> Tls<T> {
    /// TLS over `inner`. The same as [`TlsExt::tls`].
    pub fn new(inner: T, config: TlsConfig) -> Self {
        Self { inner, config }
    }
}

/// Adds the method [`tls`](Self::tls) to every byte-stream transport.
///
/// ```
/// # use anyport_tcp::Tcp;
/// # use anyport_tls::{TlsConfig, TlsExt};
/// let config = TlsConfig::from_pem_files("cert.pem", "key.pem");
/// let transport = Tcp::bind("0.0.0.0:443").tls(config);
/// ```
pub trait TlsExt: ByteTransport {
    /// TLS over this transport.
    ///
    /// ```
    /// # use anyport_tcp::Tcp;
    /// # use anyport_unix::Unix;
    /// # use anyport_tls::{TlsConfig, TlsExt};
    /// let config = TlsConfig::from_pem_files("cert.pem", "key.pem");
    /// let over_tcp = Tcp::bind("127.0.0.1:3443").per_core().tls(config.clone());
    /// let over_unix = Unix::bind("/run/app.sock").tls(config);
    /// ```
    fn tls(self, config: TlsConfig) -> Tls<Self> {
        Tls::new(self, config)
    }
}

impl<T: ByteTransport> TlsExt for T {}

impl<T: ByteTransport> Transport for Tls<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = TlsListener<T::Listener>;

    fn workers(&self) -> Workers {
        self.inner.workers()
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        self.inner.runtime_options()
    }

    fn open(&self, workers: usize) -> Result<Vec<T::Socket>> {
        self.config.load()?;
        self.inner.open(workers)
    }

    fn endpoint(&self, socket: &T::Socket) -> io::Result<Endpoint> {
        self.inner.endpoint(socket)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<Self::Listener> {
        let inner = self.inner.listen(socket, worker)?;
        if worker.index() == 0 {
            self.config
                .warnings()
                .iter()
                .for_each(|warning| worker.warn(warning));
        }
        // One slot per thread that computes handshakes.
        let threads = match T::Runtime::WORKERS {
            Workers::Ambient => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            _ => 1,
        };
        let worker_tls = WorkerTls::new(self.config.clone(), worker.alpn(), threads);
        Ok(TlsListener::new(inner, Arc::new(worker_tls)))
    }
}
