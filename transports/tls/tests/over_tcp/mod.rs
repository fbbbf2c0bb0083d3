//! TLS over TCP, on any runtime.
use crate::client::{Authority, LazyTls};
use anyport_core::transport::{ByteTransport, Endpoint};
use anyport_testkit::Subject;
use anyport_tls::{Tls, TlsExt};
use std::{io, marker::PhantomData, sync::Arc};
use tokio::net::TcpStream;

/// A TCP transport for TLS to run over.
pub(crate) trait InnerTransport: Send + Sync + 'static {
    const NAME: &str;
    type Transport: ByteTransport;

    fn bind() -> Self::Transport;

    /// The result of [`Subject::unavailable`].
    fn unavailable() -> Option<String> {
        None
    }
}

pub(crate) struct OverTcp<B> {
    authority: Arc<Authority>,
    inner: PhantomData<B>,
}

impl<B> OverTcp<B> {
    pub(crate) fn new(authority: &Arc<Authority>) -> Self {
        Self {
            authority: Arc::clone(authority),
            inner: PhantomData,
        }
    }
}

impl<B: InnerTransport> Subject for OverTcp<B> {
    const NAME: &str = B::NAME;
    type Transport = Tls<B::Transport>;
    type Stream = LazyTls<TcpStream>;

    fn transport(&self) -> Self::Transport {
        B::bind().tls(self.authority.server())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.authority.client().connect(tcp(endpoint).await?).await
    }

    async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.authority
            .h2_client()
            .connect(tcp(endpoint).await?)
            .await
    }

    async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(self.authority.client().connect_lazily(tcp(endpoint).await?))
    }

    fn reset_on_drop(&self, stream: &Self::Stream) -> io::Result<()> {
        stream.inner().map_or(Ok(()), TcpStream::set_zero_linger)
    }

    fn unavailable(&self) -> Option<String> {
        B::unavailable()
    }
}

async fn tcp(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let addr = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
