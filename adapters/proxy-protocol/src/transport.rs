//! A transport whose trusted peers send a PROXY header.
use crate::{Policy, ProxyProtocolListener};
use anyport_core::{
    Error, Result, Runtime, Transport,
    runtime::{RuntimeOptions, Worker, Workers},
    transport::{ByteTransport, Endpoint},
};
use std::io;

/// PROXY protocol over another transport: `Tcp::bind(3000).proxy_protocol(policy)`.
///
/// # Errors
///
/// A policy that trusts no peer, or that has an entry other than a network, is an error at start.
#[derive(Clone, Debug)]
pub struct ProxyProtocol<T> {
    inner: T,
    policy: Policy,
}

impl<T> ProxyProtocol<T> {
    /// PROXY protocol over `inner`. The same as [`ProxyProtocolExt::proxy_protocol`].
    pub fn new(inner: T, policy: Policy) -> Self {
        Self { inner, policy }
    }
}

/// Adds the method [`proxy_protocol`](Self::proxy_protocol) to every byte-stream transport.
pub trait ProxyProtocolExt: ByteTransport {
    /// Reads PROXY headers over this transport.
    ///
    /// Most balancers send the header first and pass the client's TLS on. For these, call
    /// `.tls(..)` afterwards. A balancer that itself connects by TLS sends the header inside TLS.
    /// For such a balancer, call `.tls(..)` first.
    ///
    /// ```
    /// # use anyport_proxy_protocol::{Policy, ProxyProtocolExt};
    /// # use anyport_tcp::Tcp;
    /// # use anyport_tls::{TlsConfig, TlsExt};
    /// # let config = TlsConfig::from_pem_files("cert.pem", "key.pem");
    /// # let policy = Policy::required_from(["10.0.0.0/8"]);
    /// let passes_tls_on = Tcp::bind(3443).proxy_protocol(policy.clone()).tls(config.clone());
    /// let connects_by_tls = Tcp::bind(3443).tls(config).proxy_protocol(policy);
    /// ```
    fn proxy_protocol(self, policy: Policy) -> ProxyProtocol<Self> {
        ProxyProtocol::new(self, policy)
    }
}

impl<T: ByteTransport> ProxyProtocolExt for T {}

impl<T: ByteTransport> Transport for ProxyProtocol<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = ProxyProtocolListener<T::Listener>;

    fn workers(&self) -> Workers {
        self.inner.workers()
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        self.inner.runtime_options()
    }

    fn open(&self, workers: usize) -> Result<Vec<T::Socket>> {
        self.policy.trusted.check()?;
        if self.policy.timeout.is_zero() {
            return Err(Error::config(
                "Policy::with_timeout is zero, so no header would be in time: allow some seconds",
            ));
        }
        self.inner.open(workers)
    }

    fn endpoint(&self, socket: &T::Socket) -> io::Result<Endpoint> {
        self.inner.endpoint(socket)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<Self::Listener> {
        let inner = self.inner.listen(socket, worker)?;
        let timer = T::Runtime::current().timer();
        Ok(ProxyProtocolListener::new(
            inner,
            self.policy.clone(),
            timer,
        ))
    }
}
