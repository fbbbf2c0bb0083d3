//! The transport, which wraps another one.
use crate::{TlsConfig, TlsListener, secure::Secure};
use anyport_core::{
    ByteTransport, Endpoint, Result, Runtime, Transport, Worker, Workers, runtime::RuntimeOptions,
};
use std::{io, num::NonZeroUsize, sync::Arc, thread};

/// TLS over another transport: `Tcp::bind(443).tls(config)`.
///
/// A certificate or a key that can't be used is an error at start, before anything is bound.
#[derive(Clone, Debug)]
pub struct Tls<T> {
    inner: T,
    config: TlsConfig,
}

impl<T> Tls<T> {
    /// TLS over `inner`. [`TlsExt::tls`] reads better.
    pub fn new(inner: T, config: TlsConfig) -> Self {
        Self { inner, config }
    }
}

/// Gives every transport of byte streams the method [`tls`](Self::tls).
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
        // As many as there are threads to answer them.
        let threads = match T::Runtime::WORKERS {
            Workers::Ambient => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            _ => 1,
        };
        let secure = Secure::new(self.config.clone(), worker.alpn(), threads);
        Ok(TlsListener::new(inner, Arc::new(secure)))
    }
}
