//! The reference: hyper on a single-threaded tokio, for more workers on a work-stealing one,
//! written by hand, and as lean as a good engineer would write it.
//!
//! hyper's defaults, without a timer: so no deadline, no limit and no drain.

mod websocket;

use anyport_bench_child::{Address, announce, end_with_parent, listen};
use clap::Parser;
use hyper::{
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{ffi::OsString, num::NonZeroUsize};
use tokio::{
    net::{TcpListener, UnixListener},
    runtime::Builder,
};
pub use websocket::respond;

#[derive(Debug, Parser)]
#[command(about = "Serves the app of the bench, until its stdin ends")]
struct Options {
    /// Where to listen: IP:PORT of this machine (port 0 is any free one), or unix:PATH.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// How many threads serve.
    #[arg(long, value_name = "N", default_value = "1")]
    workers: NonZeroUsize,
    /// Steal work, also with one thread: what `#[tokio::main]` makes.
    #[arg(long)]
    multi_thread: bool,
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
    serve(Options::parse_from(arguments))
}

fn serve(options: Options) -> anyhow::Result<()> {
    let Options {
        listen: address,
        workers,
        multi_thread,
        http2,
    } = options;
    end_with_parent()?;
    let runtime = match workers.get() {
        1 if !multi_thread => Builder::new_current_thread().enable_all().build(),
        n => Builder::new_multi_thread()
            .worker_threads(n)
            .enable_all()
            .build(),
    }?;
    runtime.block_on(async {
        match address {
            Address::Tcp(address) => {
                let listener = listen(address)?;
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                announce(&Address::Tcp(listener.local_addr()?))?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    // Not the default of any operating system: an answer in two writes would wait
                    // for the peer's ACK.
                    stream.set_nodelay(true)?;
                    connection(stream, http2);
                }
            }
            Address::Unix(path) => {
                let listener = UnixListener::bind(&path)
                    .map_err(|error| anyhow::anyhow!("cannot bind {}: {error}", path.display()))?;
                announce(&Address::Unix(path))?;
                loop {
                    connection(listener.accept().await?.0, http2);
                }
            }
            Address::Tls(_) => {
                anyhow::bail!("this peer listens on IP:PORT or unix:PATH, not on {address}")
            }
        }
    })
}

fn connection<S: Send>(stream: S, http2: bool)
where
    TokioIo<S>: Read + Write + Unpin + 'static,
{
    let stream = TokioIo::new(stream);
    let service = service_fn(respond);
    // A task each, so that neither has room for the other. A peer that went away is no news.
    if http2 {
        tokio::spawn(async move {
            let _ = http2::Builder::new(TokioExecutor::new())
                .serve_connection(stream, service)
                .await;
        });
    } else {
        tokio::spawn(async move {
            let _ = http1::Builder::new()
                .serve_connection(stream, service)
                .with_upgrades()
                .await;
        });
    }
}
