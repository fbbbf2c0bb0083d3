//! The transports that can be measured: a new one is a variant here, and a target in xtask.

use crate::hello;
#[cfg(unix)]
use anyport::Unix;
#[cfg(target_os = "linux")]
use anyport::{Glommio, Monoio, monoio::Driver};
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
    /// TCP, with one single-threaded tokio and one socket per worker.
    TcpPerCore,
    /// TCP on monoio, by io_uring.
    #[cfg(target_os = "linux")]
    Monoio,
    /// TCP on monoio, by epoll.
    #[cfg(target_os = "linux")]
    MonoioEpoll,
    /// TCP on glommio.
    #[cfg(target_os = "linux")]
    Glommio,
    /// Unix sockets on one tokio.
    #[cfg(unix)]
    Unix,
    /// Unix sockets, with one single-threaded tokio per worker.
    #[cfg(unix)]
    UnixPerCore,
}

impl Transport {
    /// A server of the app that is still to be started.
    pub(crate) fn server(self, listen: &Address, workers: usize) -> anyhow::Result<Server> {
        let app = service_fn(hello);
        Ok(match self {
            Self::Tcp => serve_with(Tcp::bind(tcp(listen)?), app),
            Self::TcpPerCore => serve_with(Tcp::bind(tcp(listen)?).per_core().with_workers(workers), app),
            #[cfg(target_os = "linux")]
            Self::Monoio => serve_with(monoio(listen, workers, Driver::IoUring)?, app),
            #[cfg(target_os = "linux")]
            Self::MonoioEpoll => serve_with(monoio(listen, workers, Driver::Epoll)?, app),
            #[cfg(target_os = "linux")]
            Self::Glommio => serve_with(Glommio::bind(tcp(listen)?).with_workers(workers), app),
            #[cfg(unix)]
            Self::Unix => serve_with(Unix::bind(unix(listen)?), app),
            #[cfg(unix)]
            Self::UnixPerCore => serve_with(Unix::bind(unix(listen)?).per_core().with_workers(workers), app),
        })
    }
}

#[cfg(target_os = "linux")]
fn monoio(listen: &Address, workers: usize, driver: Driver) -> anyhow::Result<Monoio> {
    let monoio = Monoio::bind(tcp(listen)?);
    Ok(monoio.with_driver(driver).with_workers(workers))
}

fn tcp(listen: &Address) -> anyhow::Result<SocketAddr> {
    match listen {
        Address::Tcp(address) => Ok(*address),
        Address::Unix(_) => anyhow::bail!("this transport listens on IP:PORT, not on {listen}"),
    }
}

#[cfg(unix)]
fn unix(listen: &Address) -> anyhow::Result<&Path> {
    match listen {
        Address::Unix(path) => Ok(path),
        Address::Tcp(_) => anyhow::bail!("this transport listens on unix:PATH, not on {listen}"),
    }
}
