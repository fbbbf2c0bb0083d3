//! The reference: hyper on a single-threaded tokio, for more workers on a work-stealing one, written by hand, and as lean as a good engineer would write it.
//!
//! hyper's defaults, without a timer: so no deadline, no limit and no drain.

use anyport_bench_app::{Conversation, answer};
use anyport_bench_child::{Address, announce, end_with_parent};
use clap::Parser;
use hyper::{
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Socket, Type};
use std::{net::SocketAddr, num::NonZeroUsize, process::ExitCode};
use tokio::{
    net::{TcpListener, UnixListener},
    runtime::Builder,
};

/// Not the default of std and tokio, which is 128: a burst of clients isn't turned away. The same as anyport's.
const BACKLOG: i32 = 4096;

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
    let Options {
        listen,
        workers,
        multi_thread,
    } = options;
    end_with_parent()?;
    let runtime = match workers.get() {
        1 if !multi_thread => Builder::new_current_thread().enable_all().build(),
        n => Builder::new_multi_thread().worker_threads(n).enable_all().build(),
    }?;
    runtime.block_on(async {
        match listen {
            Address::Tcp(address) => {
                let listener =
                    bind(address).map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))?;
                announce(&Address::Tcp(listener.local_addr()?))?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    // Not the default of any operating system: an answer in two writes would wait for the peer's ACK.
                    stream.set_nodelay(true)?;
                    connection(stream);
                }
            }
            Address::Unix(path) => {
                let listener = UnixListener::bind(&path)
                    .map_err(|error| anyhow::anyhow!("cannot bind {}: {error}", path.display()))?;
                announce(&Address::Unix(path))?;
                loop {
                    connection(listener.accept().await?.0);
                }
            }
            Address::Tls(_) => anyhow::bail!("this peer listens on IP:PORT or unix:PATH, not on {listen}"),
        }
    })
}

fn connection<S: Send>(stream: S)
where
    TokioIo<S>: Read + Write + Unpin + 'static,
{
    tokio::spawn(async {
        // A peer that went away is no news.
        let _ = http1::Builder::new()
            .serve_connection(
                TokioIo::new(stream),
                service_fn(|request| answer(request, Some(spawn))),
            )
            .with_upgrades()
            .await;
    });
}

fn spawn(conversation: Conversation) {
    tokio::spawn(conversation);
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // As tokio's own `bind` does: a port whose last connections linger can be taken again.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
