//! PROXY protocol over TCP, on any runtime.
use super::{LINE, begin, begin_if_open, tcp};
use anyport_core::transport::{ByteTransport, Endpoint};
use anyport_proxy_protocol::{Policy, ProxyProtocol, ProxyProtocolExt};
use anyport_tcp::{Tcp, TcpPerCore};
use anyport_testkit::Subject;
use std::{io, marker::PhantomData};
use tokio::net::TcpStream;

/// A TCP transport of one runtime.
pub(crate) trait InnerTransport: Send + Sync + 'static {
    const NAME: &str;
    type Transport: ByteTransport;

    fn bind() -> Self::Transport;

    /// The result of [`Subject::unavailable`].
    fn unavailable() -> Option<String> {
        None
    }
}

/// TCP on the ambient tokio.
pub(crate) struct Ambient;

impl InnerTransport for Ambient {
    const NAME: &str = "proxy-tcp";
    type Transport = Tcp;

    fn bind() -> Self::Transport {
        Tcp::bind("127.0.0.1:0")
    }
}

/// TCP on a tokio per core.
pub(crate) struct PerCore;

impl InnerTransport for PerCore {
    const NAME: &str = "proxy-tcp-per-core";
    type Transport = TcpPerCore;

    fn bind() -> Self::Transport {
        Tcp::bind("127.0.0.1:0").per_core().with_workers(2)
    }
}

/// PROXY protocol over a TCP transport.
pub(crate) struct OverTcp<B>(PhantomData<B>);

impl<B> Default for OverTcp<B> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<B: InnerTransport> Subject for OverTcp<B> {
    const NAME: &str = B::NAME;
    type Transport = ProxyProtocol<B::Transport>;
    type Stream = TcpStream;

    fn transport(&self) -> Self::Transport {
        B::bind().proxy_protocol(Policy::required_from(["127.0.0.0/8"]))
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        begin(tcp(endpoint).await?, LINE).await
    }

    async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(begin_if_open(tcp(endpoint).await?, LINE).await)
    }

    fn reset_on_drop(&self, stream: &Self::Stream) -> io::Result<()> {
        stream.set_zero_linger()
    }

    fn unavailable(&self) -> Option<String> {
        B::unavailable()
    }
}
