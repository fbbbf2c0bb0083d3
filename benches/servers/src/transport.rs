//! The transports of the bench. A new one is a variant here, and a target in xtask.

use crate::app;
#[cfg(feature = "faults")]
use crate::faults::{SmallReads, has_small_reads};
#[cfg(feature = "all-transports")]
use anyport::{
    Glommio, GlommioUnix, Monoio, MonoioUnix,
    tls::{Tls, TlsConfig, TlsExt as _},
    transport::{ByteTransport, monoio::Driver},
};
use anyport::{Server, Tcp, Unix, bounds::AppOver, serve_with, service_fn};
#[cfg(feature = "faults")]
use anyport::{Transport as _, transport::Intercepted};
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
}

impl Transport {
    /// A server of the app, not started yet. Over TLS, if the address says so.
    pub(crate) fn server(self, listen: &Address, workers: usize) -> anyhow::Result<Server> {
        let app = service_fn(app);
        Ok(match self {
            #[cfg(feature = "faults")]
            Self::Tcp if has_small_reads() => {
                let small = |inner| Intercepted::new(inner, SmallReads);
                serve(Tcp::bind(ip(listen)?).map_connection(small), app, listen)
            }
            Self::Tcp => serve(Tcp::bind(ip(listen)?), app, listen),
            #[cfg(feature = "axum")]
            Self::Axum => {
                let upgrade =
                    async |upgrade: anyport::ws::WebSocketUpgrade| upgrade.on_upgrade(crate::echo);
                let router = anyport_bench_app::router(axum::routing::get(upgrade));
                serve_with(Tcp::bind(ip(listen)?), router)
            }
            Self::TcpPerCore => {
                let tcp = Tcp::bind(ip(listen)?).per_core();
                serve(tcp.with_workers(workers), app, listen)
            }
            Self::Unix => serve(Unix::bind(path(listen)?), app, listen),
            Self::UnixPerCore => {
                let unix = Unix::bind(path(listen)?).per_core();
                serve(unix.with_workers(workers), app, listen)
            }
            #[cfg(feature = "all-transports")]
            Self::Monoio | Self::MonoioEpoll => {
                let monoio = Monoio::bind(ip(listen)?).with_workers(workers);
                let driver = match self {
                    Self::MonoioEpoll => Driver::Epoll,
                    _ => Driver::IoUring,
                };
                serve(monoio.with_driver(driver), app, listen)
            }
            #[cfg(feature = "all-transports")]
            Self::Glommio => serve(
                Glommio::bind(ip(listen)?).with_workers(workers),
                app,
                listen,
            ),
            #[cfg(feature = "all-transports")]
            Self::MonoioUnix => {
                let monoio = MonoioUnix::bind(path(listen)?).with_workers(workers);
                serve(monoio.with_driver(Driver::IoUring), app, listen)
            }
            #[cfg(feature = "all-transports")]
            Self::GlommioUnix => {
                let glommio = GlommioUnix::bind(path(listen)?);
                serve(glommio.with_workers(workers), app, listen)
            }
        })
    }
}

#[cfg(not(feature = "all-transports"))]
fn serve<T: anyport::Transport, A: AppOver<T>>(transport: T, app: A, _: &Address) -> Server {
    serve_with(transport, app)
}

/// The certificate is ECDSA on P-256, made at start. The load does not verify it.
#[cfg(feature = "all-transports")]
fn serve<T, A>(transport: T, app: A, listen: &Address) -> Server
where
    T: ByteTransport,
    A: AppOver<T> + AppOver<Tls<T>>,
{
    match listen {
        Address::Tls(_) => {
            let certificate = TlsConfig::self_signed(["localhost"]);
            serve_with(transport.tls(certificate), app)
        }
        _ => serve_with(transport, app),
    }
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
