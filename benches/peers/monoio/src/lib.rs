//! The references on monoio: hyper by hand on one of its threads, and as lean as its documentation shows it.
//!
//! hyper's defaults, without a timer: so no deadline, no limit and no drain. monoio's defaults, too: a ring of 1,024 entries without flags.

use anyport_bench_app::answer;
use anyport_bench_child::{Address, announce, end_with_parent};
use clap::Parser;
use hyper::{
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use monoio::{
    IoUringDriver, LegacyDriver, RuntimeBuilder,
    io::IntoPollIo as _,
    net::{ListenerOpts, TcpListener, TcpStream, UnixListener},
};
use monoio_compat::{StreamWrapper, hyper::MonoioIo};
use std::process::ExitCode;

/// Not monoio's default, which is 1,024: the same for all servers of the bench.
const BACKLOG: i32 = 4096;

#[derive(Debug, Parser)]
#[command(about = "Serves the app of the bench, until its stdin ends")]
struct Options {
    /// Where to listen: IP:PORT of this machine (port 0 is any free one), or unix:PATH.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// How hyper's reads and writes become monoio's.
    #[arg(long, value_enum)]
    io: Io,
}

/// The ways that monoio's documentation knows.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Io {
    /// monoio-compat's wrapper: each read and each write is an operation of io_uring, with a buffer of its own.
    Compat,
    /// `poll-io`, as monoio's own hyper example does: io_uring waits for an epoll instance, and reads and writes are system calls.
    Poll,
    /// `poll-io` on the driver without io_uring: epoll alone.
    PollEpoll,
}

/// The whole of a server's `main`.
#[must_use]
pub fn run() -> ExitCode {
    match serve(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> anyhow::Result<()> {
    end_with_parent()?;
    let Options { listen, io } = options;
    // Each driver by its name, since monoio's own choice would fall back to the other one without a word.
    match io {
        Io::Compat | Io::Poll => RuntimeBuilder::<IoUringDriver>::new()
            .build()?
            .block_on(accept(listen, io)),
        Io::PollEpoll => RuntimeBuilder::<LegacyDriver>::new()
            .build()?
            .block_on(accept(listen, io)),
    }
}

async fn accept(listen: Address, io: Io) -> anyhow::Result<()> {
    // Not monoio's default either: a port that's taken is to be an error.
    let options = ListenerOpts::new().backlog(BACKLOG).reuse_port(false);
    match listen {
        Address::Tcp(address) => {
            let listener = TcpListener::bind_with_config(address, &options)
                .map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))?;
            announce(&Address::Tcp(listener.local_addr()?))?;
            loop {
                let (stream, _) = listener.accept().await?;
                // Not the default of any operating system: an answer in two writes would wait for the peer's ACK.
                stream.set_nodelay(true)?;
                tcp(stream, io)?;
            }
        }
        Address::Unix(path) => {
            let listener = UnixListener::bind_with_config(&path, &options)
                .map_err(|error| anyhow::anyhow!("cannot bind {}: {error}", path.display()))?;
            announce(&Address::Unix(path))?;
            loop {
                let (stream, _) = listener.accept().await?;
                match io {
                    Io::Compat => connection(TokioIo::new(StreamWrapper::new(stream))),
                    Io::Poll | Io::PollEpoll => connection(MonoioIo::new(stream.into_poll_io()?)),
                }
            }
        }
        Address::Tls(_) => anyhow::bail!("this peer listens on IP:PORT or unix:PATH, not on {listen}"),
    }
}

fn tcp(stream: TcpStream, io: Io) -> std::io::Result<()> {
    match io {
        Io::Compat => connection(TokioIo::new(StreamWrapper::new(stream))),
        Io::Poll | Io::PollEpoll => connection(MonoioIo::new(stream.into_poll_io()?)),
    }
    Ok(())
}

/// Without upgrades: hyper wants an upgraded stream to be `Send`, and one that stays on its thread isn't.
fn connection<S: Read + Write + Unpin + 'static>(stream: S) {
    monoio::spawn(async {
        // A peer that went away is no news.
        let _ = http1::Builder::new()
            .serve_connection(stream, service_fn(|request| answer(request, None)))
            .await;
    });
}
