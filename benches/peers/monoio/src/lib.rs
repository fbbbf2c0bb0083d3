//! The references on monoio: hyper by hand on one of its threads, and as lean as its documentation
//! shows it.
//!
//! hyper's defaults, without a timer: so no deadline, no limit and no drain. monoio's defaults,
//! too: a ring of 1,024 entries without flags.

#[cfg(feature = "tls")]
mod tls;

use anyport_bench_app::answer;
use anyport_bench_child::{Address, BACKLOG, announce, end_with_parent};
use clap::Parser;
use hyper::{
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use monoio::{
    IoUringDriver, LegacyDriver, RuntimeBuilder,
    io::IntoPollIo as _,
    net::{ListenerOpts, TcpListener, TcpStream, UnixListener},
};
use monoio_compat::{
    StreamWrapper,
    hyper::{MonoioExecutor, MonoioIo},
};
use std::{ffi::OsString, net::SocketAddr};

#[derive(Debug, Parser)]
#[command(about = "Serves the app of the bench, until its stdin ends")]
struct Options {
    /// Where to listen: IP:PORT of this machine (port 0 is any free one), unix:PATH, or with the
    /// feature `tls` tls:IP:PORT.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// How hyper's reads and writes become monoio's.
    #[arg(long, value_enum)]
    io: Io,
    /// Speak HTTP/2 instead of HTTP/1.
    #[arg(long)]
    http2: bool,
}

/// The ways that monoio's documentation knows.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Io {
    /// monoio-compat's wrapper: each read and each write is an operation of io_uring, with a buffer
    /// of its own.
    Compat,
    /// `poll-io`, as monoio's own hyper example does: io_uring waits for an epoll instance, and
    /// reads and writes are system calls.
    Poll,
    /// `poll-io` on the driver without io_uring: epoll alone.
    PollEpoll,
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
    // Each driver by its name, since monoio's own choice would fall back to the other one without a
    // word.
    match options.io {
        Io::Compat | Io::Poll => RuntimeBuilder::<IoUringDriver>::new()
            .build()?
            .block_on(accept(options)),
        Io::PollEpoll => RuntimeBuilder::<LegacyDriver>::new()
            .build()?
            .block_on(accept(options)),
    }
}

async fn accept(options: &Options) -> anyhow::Result<()> {
    let Options {
        ref listen,
        io,
        http2,
    } = *options;
    match listen {
        Address::Tcp(address) => {
            let listener = bind(*address)?;
            announce(&Address::Tcp(listener.local_addr()?))?;
            loop {
                let stream = next(&listener).await?;
                match io {
                    Io::Compat => connection(TokioIo::new(StreamWrapper::new(stream)), http2),
                    Io::Poll | Io::PollEpoll => {
                        connection(MonoioIo::new(stream.into_poll_io()?), http2)
                    }
                }
            }
        }
        Address::Unix(path) => {
            let listener = UnixListener::bind_with_config(path, &knobs())
                .map_err(|error| anyhow::anyhow!("cannot bind {}: {error}", path.display()))?;
            announce(listen)?;
            loop {
                let (stream, _) = listener.accept().await?;
                match io {
                    Io::Compat => connection(TokioIo::new(StreamWrapper::new(stream)), http2),
                    Io::Poll | Io::PollEpoll => {
                        connection(MonoioIo::new(stream.into_poll_io()?), http2)
                    }
                }
            }
        }
        #[cfg(feature = "tls")]
        Address::Tls(address) => match io {
            Io::Compat => tls::accept(&bind(*address)?, http2).await,
            Io::Poll | Io::PollEpoll => anyhow::bail!("TLS goes by `--io compat` only"),
        },
        #[cfg(not(feature = "tls"))]
        Address::Tls(_) => anyhow::bail!("built without TLS; enable the feature `tls`"),
    }
}

/// Not monoio's defaults: a backlog of 1,024, and a port that's taken is no error.
fn knobs() -> ListenerOpts {
    ListenerOpts::new().backlog(BACKLOG).reuse_port(false)
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind_with_config(address, &knobs())
        .map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))
}

async fn next(listener: &TcpListener) -> std::io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    // Not the default of any operating system: an answer in two writes would wait for the peer's
    // ACK.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A task of either has no room for the other.
fn connection<S: Read + Write + Unpin + 'static>(stream: S, http2: bool) {
    if http2 {
        monoio::spawn(serve_http2(stream));
    } else {
        monoio::spawn(serve_http1(stream));
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
    let _ = http2::Builder::new(MonoioExecutor)
        .serve_connection(stream, service_fn(answer))
        .await;
}
