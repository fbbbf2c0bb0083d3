//! The servers of the bench. A new one is a variant here, and a target in xtask.

#[cfg(feature = "faults")]
use crate::faults::{SmallReads, has_small_reads};
#[cfg(feature = "proxy")]
use crate::proxy;
use crate::{Options, app};
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
use std::path::Path;

/// What runs the app. The address says whether it listens on TCP, TLS or a Unix socket.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Kind {
    /// One tokio: single-threaded for one worker, work stealing for more.
    Tokio,
    /// One single-threaded tokio and one socket per worker.
    TokioPerCore,
    /// monoio, by io_uring.
    #[cfg(feature = "all-transports")]
    Monoio,
    /// monoio, by epoll.
    #[cfg(feature = "all-transports")]
    MonoioEpoll,
    /// glommio.
    #[cfg(feature = "all-transports")]
    Glommio,
    /// The app as an axum `Router`, on one tokio over TCP.
    #[cfg(feature = "axum")]
    Axum,
    /// A proxy to the upstream, on one tokio over TCP.
    #[cfg(feature = "proxy")]
    Proxy,
}

impl Kind {
    /// A server that is not started yet.
    pub(crate) fn server(self, options: &Options) -> anyhow::Result<Server> {
        let (app, workers, listen) = (service_fn(app), options.workers.get(), &options.listen);
        let ip = match listen {
            Address::Unix(path) => return self.unix_server(path, workers),
            Address::Tcp(ip) | Address::Tls(ip) => *ip,
        };
        Ok(match self {
            #[cfg(feature = "faults")]
            Self::Tokio if has_small_reads() => {
                let small = |inner| Intercepted::new(inner, SmallReads);
                serve(Tcp::bind(ip).map_connection(small), app, listen)
            }
            Self::Tokio => serve(Tcp::bind(ip), app, listen),
            Self::TokioPerCore => {
                let tcp = Tcp::bind(ip).per_core();
                serve(tcp.with_workers(workers), app, listen)
            }
            #[cfg(feature = "all-transports")]
            Self::Monoio | Self::MonoioEpoll => {
                let monoio = Monoio::bind(ip).with_workers(workers);
                serve(monoio.with_driver(self.driver()), app, listen)
            }
            #[cfg(feature = "all-transports")]
            Self::Glommio => serve(Glommio::bind(ip).with_workers(workers), app, listen),
            #[cfg(feature = "axum")]
            Self::Axum => {
                let upgrade =
                    async |upgrade: anyport::ws::WebSocketUpgrade| upgrade.on_upgrade(crate::echo);
                let router = anyport_bench_app::router(axum::routing::get(upgrade));
                serve_with(Tcp::bind(ip), router)
            }
            #[cfg(feature = "proxy")]
            Self::Proxy => proxy::server(ip, options.upstream)?,
        })
    }

    fn unix_server(self, path: &Path, workers: usize) -> anyhow::Result<Server> {
        let app = service_fn(app);
        Ok(match self {
            Self::Tokio => serve_with(Unix::bind(path), app),
            Self::TokioPerCore => {
                let unix = Unix::bind(path).per_core();
                serve_with(unix.with_workers(workers), app)
            }
            #[cfg(feature = "all-transports")]
            Self::Monoio | Self::MonoioEpoll => {
                let monoio = MonoioUnix::bind(path).with_workers(workers);
                serve_with(monoio.with_driver(self.driver()), app)
            }
            #[cfg(feature = "all-transports")]
            Self::Glommio => serve_with(GlommioUnix::bind(path).with_workers(workers), app),
            #[cfg(any(feature = "axum", feature = "proxy"))]
            _ => anyhow::bail!("this server listens on IP:PORT"),
        })
    }

    #[cfg(feature = "all-transports")]
    fn driver(self) -> Driver {
        match self {
            Self::MonoioEpoll => Driver::Epoll,
            _ => Driver::IoUring,
        }
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
