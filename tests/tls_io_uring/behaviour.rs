//! The behaviour suite over TLS over TCP, on glommio and on monoio.
#![cfg(target_os = "linux")]

#[path = "../../transports/tls/tests/client/mod.rs"]
mod client;

use anyport_core::{Accepted, Endpoint, serve_raw_with};
use anyport_testkit::{Subject, Suite, requirements::needs_start};
use anyport_tls::{Tls, TlsExt};
use client::{Authority, Lazy};
use std::{io, process::ExitCode, sync::Arc};
use tokio::net::TcpStream;

/// TLS over TCP, on glommio.
struct OverGlommio(Arc<Authority>);

impl Subject for OverGlommio {
    const NAME: &str = "tls-glommio";
    type Transport = Tls<anyport_glommio::Glommio>;
    type Stream = Lazy<TcpStream>;

    fn transport(&self) -> Self::Transport {
        let glommio = anyport_glommio::Glommio::bind("127.0.0.1:0").with_workers(2);
        glommio.tls(self.0.server())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.0.client().connect(tcp(endpoint).await?).await
    }

    async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.0.h2_client().connect(tcp(endpoint).await?).await
    }

    async fn knock(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(self.0.client().knock(tcp(endpoint).await?))
    }

    fn reset_on_drop(&self, stream: &Self::Stream) -> io::Result<()> {
        stream.below().map_or(Ok(()), TcpStream::set_zero_linger)
    }

    fn missing(&self) -> Option<String> {
        no_glommio()
    }
}

/// TLS over TCP, on monoio, which waits with epoll or with io_uring.
struct OverMonoio<const EPOLL: bool>(Arc<Authority>);

impl<const EPOLL: bool> Subject for OverMonoio<EPOLL> {
    const NAME: &str = if EPOLL {
        "tls-monoio-epoll"
    } else {
        "tls-monoio-io-uring"
    };
    type Transport = Tls<anyport_monoio::Monoio>;
    type Stream = Lazy<TcpStream>;

    fn transport(&self) -> Self::Transport {
        let driver = if EPOLL {
            anyport_monoio::Driver::Epoll
        } else {
            anyport_monoio::Driver::IoUring
        };
        monoio(driver).tls(self.0.server())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.0.client().connect(tcp(endpoint).await?).await
    }

    async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.0.h2_client().connect(tcp(endpoint).await?).await
    }

    async fn knock(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(self.0.client().knock(tcp(endpoint).await?))
    }

    fn reset_on_drop(&self, stream: &Self::Stream) -> io::Result<()> {
        stream.below().map_or(Ok(()), TcpStream::set_zero_linger)
    }

    fn missing(&self) -> Option<String> {
        no_monoio(EPOLL)
    }
}

/// Why a worker of glommio can't be started, if it can't.
fn no_glommio() -> Option<String> {
    let glommio = anyport_glommio::Glommio::bind("127.0.0.1:0").with_workers(1);
    needs_start(serve_raw_with(glommio, |_: Accepted<_>| async {}))
}

fn no_monoio(epoll: bool) -> Option<String> {
    let driver = match epoll {
        true => anyport_monoio::Driver::Epoll,
        false => anyport_monoio::Driver::IoUring,
    };
    driver.check().err().map(|error| error.to_string())
}

fn monoio(driver: anyport_monoio::Driver) -> anyport_monoio::Monoio {
    let monoio = anyport_monoio::Monoio::bind("127.0.0.1:0");
    monoio.with_driver(driver).with_workers(2)
}

async fn tcp(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let addr = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn main() -> ExitCode {
    let authority = Arc::new(Authority::new());
    Suite::new()
        .with_local(OverGlommio(Arc::clone(&authority)))
        .with_local(OverMonoio::<false>(Arc::clone(&authority)))
        .with_local(OverMonoio::<true>(authority))
        .run()
}
