//! The references on glommio: hyper by hand on one of its executors, as its own hyper example does.
//!
//! hyper's defaults, without a timer: so no deadline, no limit and no drain. Like the example, it
//! zeroes hyper's buffer before each read: glommio reads into initialised memory only.

#[cfg(feature = "tls")]
mod tls;

use anyport_bench_app::answer;
use anyport_bench_child::{Address, announce, end_with_parent};
use clap::Parser;
use glommio::{
    LocalExecutorBuilder, Placement,
    net::{TcpListener, TcpStream, UnixListener},
};
use hyper::{
    rt::{Executor, Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{ffi::OsString, net::SocketAddr};
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

/// Not glommio's default, which is 10 MiB: that's more than a process may lock where the limit is
/// Debian's (8 MiB), and a socket needs none of it.
const IO_MEMORY: usize = 64 * 1024;
/// Not glommio's default, which is 128: with more connections than that, operations would be handed
/// to the kernel in pieces.
const RING_DEPTH: usize = 1024;

#[derive(Debug, Parser)]
#[command(about = "Serves the app of the bench, until its stdin ends")]
struct Options {
    /// Where to listen: IP:PORT of this machine (port 0 is any free one), unix:PATH, or with the
    /// feature `tls` tls:IP:PORT.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// Speak HTTP/2 instead of HTTP/1.
    #[arg(long)]
    http2: bool,
}

/// Serves, as the arguments say; the first one is the program's name.
///
/// # Errors
///
/// When it cannot listen.
pub fn run(arguments: Vec<OsString>) -> anyhow::Result<()> {
    serve(&Options::parse_from(arguments))
}

fn serve(options: &Options) -> anyhow::Result<()> {
    end_with_parent()?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH)
        .make()
        .map_err(|error| anyhow::anyhow!("cannot start glommio: {error}"))?;
    executor.run(accept(&options.listen, options.http2))
}

async fn accept(listen: &Address, http2: bool) -> anyhow::Result<()> {
    match listen {
        Address::Tcp(address) => {
            let (listener, address) = bind(*address)?;
            announce(&Address::Tcp(address))?;
            loop {
                connection(TokioIo::new(next(&listener).await?.compat()), http2);
            }
        }
        Address::Unix(path) => {
            let listener = UnixListener::bind(path)
                .map_err(|error| anyhow::anyhow!("cannot bind {}: {error}", path.display()))?;
            announce(listen)?;
            loop {
                let stream = listener.accept().await.map_err(cannot_accept)?;
                connection(TokioIo::new(stream.compat()), http2);
            }
        }
        #[cfg(feature = "tls")]
        Address::Tls(address) => tls::accept(*address, http2).await,
        #[cfg(not(feature = "tls"))]
        Address::Tls(_) => anyhow::bail!("built without TLS; enable the feature `tls`"),
    }
}

/// The backlog is glommio's, 1,024 for TCP and 128 for Unix sockets. glommio has no option for it,
/// and no safe way to adopt a listening socket.
fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))?;
    let address = listener
        .local_addr()
        .map_err(|error| anyhow::anyhow!("cannot tell the address: {error}"))?;
    Ok((listener, address))
}

async fn next(listener: &TcpListener) -> anyhow::Result<TcpStream> {
    let stream = listener.accept().await.map_err(cannot_accept)?;
    // Not the default of any operating system: an answer in two writes would wait for the peer's
    // ACK.
    stream.set_nodelay(true).map_err(cannot_accept)?;
    Ok(stream)
}

fn cannot_accept(error: glommio::GlommioError<()>) -> anyhow::Error {
    anyhow::anyhow!("cannot accept: {error}")
}

/// A task of either has no room for the other.
fn connection<S: Read + Write + Unpin + 'static>(stream: S, http2: bool) {
    if http2 {
        glommio::spawn_local(serve_http2(stream)).detach();
    } else {
        glommio::spawn_local(serve_http1(stream)).detach();
    }
}

/// Without upgrades: hyper wants an upgraded stream to be `Send`, and one that stays on its thread
/// isn't.
async fn serve_http1<S: Read + Write + Unpin + 'static>(stream: S) {
    // A peer that went away is no news.
    let _ = http1::Builder::new()
        .serve_connection(stream, service_fn(answer))
        .await;
}

async fn serve_http2<S: Read + Write + Unpin + 'static>(stream: S) {
    let _ = http2::Builder::new(OnThisThread)
        .serve_connection(stream, service_fn(answer))
        .await;
}

/// Spawns what hyper's HTTP/2 has beside its connection.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output: 'static> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        glommio::spawn_local(future).detach();
    }
}
