//! The transports that can be measured: a new one is a variant here, and a target in xtask.

use crate::app;
#[cfg(unix)]
use anyport::Unix;
#[cfg(feature = "tls")]
use anyport::tls::{TlsConfig, TlsExt as _};
#[cfg(all(feature = "glommio", target_os = "linux"))]
use anyport::{Glommio, GlommioUnix};
#[cfg(all(feature = "monoio", target_os = "linux"))]
use anyport::{Monoio, MonoioUnix, transport::monoio::Driver};
use anyport::{Server, Tcp, serve_with, service_fn};
use anyport_bench_child::Address;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Transport {
    /// TCP on one tokio: single-threaded for one worker, work stealing for more.
    Tcp,
    /// The app as an axum `Router`, over `tcp`.
    #[cfg(feature = "axum")]
    Axum,
    /// TCP, with one single-threaded tokio and one socket per worker.
    TcpPerCore,
    /// TCP on monoio, by io_uring.
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    Monoio,
    /// TCP on monoio, by epoll.
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    MonoioEpoll,
    /// TCP on glommio.
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    Glommio,
    /// Unix sockets on monoio, by io_uring.
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    MonoioUnix,
    /// Unix sockets on glommio.
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    GlommioUnix,
    /// Unix sockets on one tokio.
    #[cfg(unix)]
    Unix,
    /// Unix sockets, with one single-threaded tokio per worker.
    #[cfg(unix)]
    UnixPerCore,
    /// TLS over `tcp`, by ring.
    #[cfg(feature = "tls")]
    TlsTcp,
    /// TLS over `tcp-per-core`, by ring.
    #[cfg(feature = "tls")]
    TlsTcpPerCore,
    /// TLS over `monoio`, by ring.
    #[cfg(all(feature = "tls", feature = "monoio", target_os = "linux"))]
    TlsMonoio,
    /// TLS over `glommio`, by ring.
    #[cfg(all(feature = "tls", feature = "glommio", target_os = "linux"))]
    TlsGlommio,
}

impl Transport {
    /// A server of the app that is still to be started.
    pub(crate) fn server(self, listen: &Address, workers: usize) -> anyhow::Result<Server> {
        let app = service_fn(app);
        Ok(match self {
            #[cfg(all(feature = "faults", unix))]
            Self::Tcp if crate::faults::has_small_reads() => {
                serve_with(crate::faults::SmallReads(tcp(listen)?), app)
            }
            Self::Tcp => serve_with(Tcp::bind(tcp(listen)?), app),
            #[cfg(feature = "axum")]
            Self::Axum => {
                let upgrade =
                    async |upgrade: anyport::ws::WebSocketUpgrade| upgrade.on_upgrade(crate::echo);
                let router = anyport_bench_app::router(axum::routing::get(upgrade));
                serve_with(Tcp::bind(tcp(listen)?), router)
            }
            Self::TcpPerCore => serve_with(
                Tcp::bind(tcp(listen)?).per_core().with_workers(workers),
                app,
            ),
            #[cfg(all(feature = "monoio", target_os = "linux"))]
            Self::Monoio => serve_with(monoio(tcp(listen)?, workers, Driver::IoUring), app),
            #[cfg(all(feature = "monoio", target_os = "linux"))]
            Self::MonoioEpoll => serve_with(monoio(tcp(listen)?, workers, Driver::Epoll), app),
            #[cfg(all(feature = "glommio", target_os = "linux"))]
            Self::Glommio => serve_with(Glommio::bind(tcp(listen)?).with_workers(workers), app),
            #[cfg(all(feature = "monoio", target_os = "linux"))]
            Self::MonoioUnix => {
                let monoio = MonoioUnix::bind(unix(listen)?).with_driver(Driver::IoUring);
                serve_with(monoio.with_workers(workers), app)
            }
            #[cfg(all(feature = "glommio", target_os = "linux"))]
            Self::GlommioUnix => {
                serve_with(GlommioUnix::bind(unix(listen)?).with_workers(workers), app)
            }
            #[cfg(unix)]
            Self::Unix => serve_with(Unix::bind(unix(listen)?), app),
            #[cfg(unix)]
            Self::UnixPerCore => serve_with(
                Unix::bind(unix(listen)?).per_core().with_workers(workers),
                app,
            ),
            #[cfg(feature = "tls")]
            Self::TlsTcp => serve_with(Tcp::bind(tls(listen)?).tls(certificate()), app),
            #[cfg(feature = "tls")]
            Self::TlsTcpPerCore => {
                let tcp = Tcp::bind(tls(listen)?).per_core().with_workers(workers);
                serve_with(tcp.tls(certificate()), app)
            }
            #[cfg(all(feature = "tls", feature = "monoio", target_os = "linux"))]
            Self::TlsMonoio => {
                let monoio = monoio(tls(listen)?, workers, Driver::IoUring);
                serve_with(monoio.tls(certificate()), app)
            }
            #[cfg(all(feature = "tls", feature = "glommio", target_os = "linux"))]
            Self::TlsGlommio => {
                let glommio = Glommio::bind(tls(listen)?).with_workers(workers);
                serve_with(glommio.tls(certificate()), app)
            }
        })
    }

    /// Where it serves, as the bench is told.
    pub(crate) fn address(self, listening: SocketAddr) -> Address {
        match self {
            #[cfg(feature = "tls")]
            Self::TlsTcp | Self::TlsTcpPerCore => Address::Tls(listening),
            #[cfg(all(feature = "tls", feature = "monoio", target_os = "linux"))]
            Self::TlsMonoio => Address::Tls(listening),
            #[cfg(all(feature = "tls", feature = "glommio", target_os = "linux"))]
            Self::TlsGlommio => Address::Tls(listening),
            _ => Address::Tcp(listening),
        }
    }
}

/// ECDSA on P-256, made anew. The load takes any: it's no test of certificates.
#[cfg(feature = "tls")]
fn certificate() -> TlsConfig {
    TlsConfig::self_signed(["localhost"])
}

#[cfg(all(feature = "monoio", target_os = "linux"))]
fn monoio(address: SocketAddr, workers: usize, driver: Driver) -> Monoio {
    Monoio::bind(address)
        .with_driver(driver)
        .with_workers(workers)
}

fn tcp(listen: &Address) -> anyhow::Result<SocketAddr> {
    match listen {
        Address::Tcp(address) => Ok(*address),
        _ => anyhow::bail!("this transport listens on IP:PORT, not on {listen}"),
    }
}

#[cfg(feature = "tls")]
fn tls(listen: &Address) -> anyhow::Result<SocketAddr> {
    match listen {
        Address::Tls(address) => Ok(*address),
        _ => anyhow::bail!("this transport listens on tls:IP:PORT, not on {listen}"),
    }
}

#[cfg(unix)]
fn unix(listen: &Address) -> anyhow::Result<&Path> {
    match listen {
        Address::Unix(path) => Ok(path),
        _ => anyhow::bail!("this transport listens on unix:PATH, not on {listen}"),
    }
}
