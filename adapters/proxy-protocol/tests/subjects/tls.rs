//! PROXY protocol and TLS: the header in front of TLS, and inside TLS.
use super::{BINARY, LINE, begin, begin_if_open, tcp};
use crate::client::{Authority, LazyTls};
use anyport_core::transport::Endpoint;
use anyport_proxy_protocol::{Policy, ProxyProtocol, ProxyProtocolExt};
use anyport_tcp::Tcp;
use anyport_testkit::Subject;
use anyport_tls::{Tls, TlsExt};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

fn policy() -> Policy {
    Policy::required_from(["127.0.0.0/8"])
}

/// The proxy passes the client's TLS on.
pub(crate) struct TlsAbove(pub(crate) Arc<Authority>);

impl Subject for TlsAbove {
    const NAME: &str = "tls-proxy-tcp";
    type Transport = Tls<ProxyProtocol<Tcp>>;
    type Stream = LazyTls<TcpStream>;

    fn transport(&self) -> Self::Transport {
        Tcp::bind("127.0.0.1:0")
            .proxy_protocol(policy())
            .tls(self.0.server())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        let inner = begin(tcp(endpoint).await?, BINARY).await?;
        self.0.client().connect(inner).await
    }

    async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        let inner = begin(tcp(endpoint).await?, BINARY).await?;
        self.0.h2_client().connect(inner).await
    }

    async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        let inner = begin_if_open(tcp(endpoint).await?, BINARY).await;
        Ok(self.0.client().connect_lazily(inner))
    }

    fn reset_on_drop(&self, stream: &Self::Stream) -> io::Result<()> {
        stream.inner().map_or(Ok(()), TcpStream::set_zero_linger)
    }
}

/// The proxy itself connects by TLS.
pub(crate) struct TlsBelow(pub(crate) Arc<Authority>);

impl Subject for TlsBelow {
    const NAME: &str = "proxy-tls-tcp";
    type Transport = ProxyProtocol<Tls<Tcp>>;
    type Stream = Prefixed<LazyTls<TcpStream>>;

    fn transport(&self) -> Self::Transport {
        Tcp::bind("127.0.0.1:0")
            .tls(self.0.server())
            .proxy_protocol(policy())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        let stream = self.0.client().connect(tcp(endpoint).await?).await?;
        Ok(Prefixed::new(begin(stream, LINE).await?, b""))
    }

    async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        let stream = self.0.h2_client().connect(tcp(endpoint).await?).await?;
        Ok(Prefixed::new(begin(stream, LINE).await?, b""))
    }

    async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        let stream = self.0.client().connect_lazily(tcp(endpoint).await?);
        Ok(Prefixed::new(stream, LINE))
    }

    fn reset_on_drop(&self, stream: &Self::Stream) -> io::Result<()> {
        let inner = stream.stream.inner();
        inner.map_or(Ok(()), TcpStream::set_zero_linger)
    }
}

/// A stream that sends a header when it is used.
pub(crate) struct Prefixed<S> {
    stream: S,
    header: &'static [u8],
}

impl<S: AsyncWrite + Unpin> Prefixed<S> {
    fn new(stream: S, header: &'static [u8]) -> Self {
        Self { stream, header }
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut S>>> {
        let mut stream = Pin::new(&mut self.stream);
        if !self.header.is_empty() {
            while !self.header.is_empty() {
                let sent = ready!(stream.as_mut().poll_write(cx, self.header))?;
                self.header = &self.header[sent..];
            }
            ready!(stream.as_mut().poll_flush(cx))?;
        }
        Poll::Ready(Ok(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?.poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_sent(cx))?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?.poll_shutdown(cx)
    }
}
