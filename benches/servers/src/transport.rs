//! The transports of the bench. A new one is a variant here, and a target in xtask.

use crate::app;
#[cfg(feature = "all-transports")]
use anyport::{
    Glommio, GlommioUnix, Monoio, MonoioUnix,
    tls::{TlsConfig, TlsExt as _},
    transport::monoio::Driver,
};
use anyport::{Server, Tcp, Unix, serve_with, service_fn};
use anyport_bench_child::Address;
use std::{net::SocketAddr, path::Path};

/// A transport.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Transport {
    /// TCP on one tokio: single-threaded for one worker, work stealing for more.
    Tcp,
    /// The app as an axum `Router`, over `tcp`.
    #[cfg(feature = "axum")]
    Axum,
    /// TCP, with one single-threaded tokio and one socket per worker.
    TcpPerCore,
    /// Unix sockets on one tokio.
    Unix,
    /// Unix sockets, with one single-threaded tokio per worker.
    UnixPerCore,
    /// TCP on monoio, by io_uring.
    #[cfg(feature = "all-transports")]
    Monoio,
    /// TCP on monoio, by epoll.
    #[cfg(feature = "all-transports")]
    MonoioEpoll,
    /// TCP on glommio.
    #[cfg(feature = "all-transports")]
    Glommio,
    /// Unix sockets on monoio, by io_uring.
    #[cfg(feature = "all-transports")]
    MonoioUnix,
    /// Unix sockets on glommio.
    #[cfg(feature = "all-transports")]
    GlommioUnix,
    /// TLS over `tcp`, by ring.
    #[cfg(feature = "all-transports")]
    TlsTcp,
    /// TLS over `tcp-per-core`, by ring.
    #[cfg(feature = "all-transports")]
    TlsTcpPerCore,
    /// TLS over `monoio`, by ring.
    #[cfg(feature = "all-transports")]
    TlsMonoio,
    /// TLS over `glommio`, by ring.
    #[cfg(feature = "all-transports")]
    TlsGlommio,
}

impl Transport {
    /// A server of the app, not started yet.
    pub(crate) fn server(self, listen: &Address, workers: usize) -> anyhow::Result<Server> {
        let app = service_fn(app);
        Ok(match self {
            #[cfg(feature = "faults")]
            Self::Tcp if crate::faults::has_small_reads() => {
                serve_with(crate::faults::SmallReads(ip(listen)?), app)
            }
            Self::Tcp => serve_with(Tcp::bind(ip(listen)?), app),
            #[cfg(feature = "axum")]
            Self::Axum => {
                let upgrade =
                    async |upgrade: anyport::ws::WebSocketUpgrade| upgrade.on_upgrade(crate::echo);
                let router = anyport_bench_app::router(axum::routing::get(upgrade));
                serve_with(Tcp::bind(ip(listen)?), router)
            }
            Self::TcpPerCore => {
                let tcp = Tcp::bind(ip(listen)?).per_core();
                serve_with(tcp.with_workers(workers), app)
            }
            Self::Unix => serve_with(Unix::bind(path(listen)?), app),
            Self::UnixPerCore => {
                let unix = Unix::bind(path(listen)?).per_core();
                serve_with(unix.with_workers(workers), app)
            }
            #[cfg(feature = "all-transports")]
            Self::Monoio => serve_with(monoio(listen, workers, Driver::IoUring)?, app),
            #[cfg(feature = "all-transports")]
            Self::MonoioEpoll => serve_with(monoio(listen, workers, Driver::Epoll)?, app),
            #[cfg(feature = "all-transports")]
            Self::Glommio => serve_with(Glommio::bind(ip(listen)?).with_workers(workers), app),
            #[cfg(feature = "all-transports")]
            Self::MonoioUnix => {
                let monoio = MonoioUnix::bind(path(listen)?).with_driver(Driver::IoUring);
                serve_with(monoio.with_workers(workers), app)
            }
            #[cfg(feature = "all-transports")]
            Self::GlommioUnix => {
                serve_with(GlommioUnix::bind(path(listen)?).with_workers(workers), app)
            }
            #[cfg(feature = "all-transports")]
            Self::TlsTcp => serve_with(Tcp::bind(ip(listen)?).tls(certificate()), app),
            #[cfg(feature = "all-transports")]
            Self::TlsTcpPerCore => {
                let tcp = Tcp::bind(ip(listen)?).per_core();
                serve_with(tcp.with_workers(workers).tls(certificate()), app)
            }
            #[cfg(feature = "all-transports")]
            Self::TlsMonoio => {
                let monoio = monoio(listen, workers, Driver::IoUring)?;
                serve_with(monoio.tls(certificate()), app)
            }
            #[cfg(feature = "all-transports")]
            Self::TlsGlommio => {
                let glommio = Glommio::bind(ip(listen)?).with_workers(workers);
                serve_with(glommio.tls(certificate()), app)
            }
        })
    }
}

/// ECDSA on P-256, made at start. The load does not verify it.
#[cfg(feature = "all-transports")]
fn certificate() -> TlsConfig {
    TlsConfig::self_signed(["localhost"])
}

#[cfg(feature = "all-transports")]
fn monoio(listen: &Address, workers: usize, driver: Driver) -> anyhow::Result<Monoio> {
    let monoio = Monoio::bind(ip(listen)?).with_driver(driver);
    Ok(monoio.with_workers(workers))
}

fn ip(listen: &Address) -> anyhow::Result<SocketAddr> {
    match listen {
        Address::Tcp(address) | Address::Tls(address) => Ok(*address),
        Address::Unix(_) => anyhow::bail!("this transport listens on IP:PORT, not on {listen}"),
    }
}

fn path(listen: &Address) -> anyhow::Result<&Path> {
    match listen {
        Address::Unix(path) => Ok(path),
        _ => anyhow::bail!("this transport listens on unix:PATH, not on {listen}"),
    }
}
