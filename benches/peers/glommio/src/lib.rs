//! The references on glommio: hyper by hand on one of its executors, as its own hyper example does.
//!
//! hyper's defaults, without a timer: so no deadline, no limit and no drain. Like the example, it zeroes hyper's buffer before each read:
//! glommio reads into initialised memory only.

use anyport_bench_app::answer;
use anyport_bench_child::{Address, announce, end_with_parent};
use clap::Parser;
use glommio::{
    LocalExecutorBuilder, Placement,
    net::{TcpListener, UnixListener},
};
use hyper::{
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::process::ExitCode;
use tokio_util::compat::FuturesAsyncReadCompatExt as _;

/// Not glommio's default, which is 10 MiB: that's more than a process may lock where the limit is Debian's (8 MiB), and a socket needs none of it.
const IO_MEMORY: usize = 64 * 1024;
/// Not glommio's default, which is 128: with more connections than that, operations would be handed to the kernel in pieces.
const RING_DEPTH: usize = 1024;

#[derive(Debug, Parser)]
#[command(about = "Serves the app of the bench, until its stdin ends")]
struct Options {
    /// Where to listen: IP:PORT of this machine (port 0 is any free one), or unix:PATH.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
}

/// The whole of a server's `main`.
#[must_use]
pub fn run() -> ExitCode {
    match serve(Options::parse().listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(listen: Address) -> anyhow::Result<()> {
    end_with_parent()?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH)
        .make()
        .map_err(|error| anyhow::anyhow!("cannot start glommio: {error}"))?;
    executor.run(accept(listen))
}

/// The backlog is glommio's, 1,024 for TCP and 128 for Unix sockets: there's no knob, and no safe way to hand it a socket that listens already.
async fn accept(listen: Address) -> anyhow::Result<()> {
    match listen {
        Address::Tcp(address) => {
            let listener = TcpListener::bind(address)
                .map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))?;
            let address = listener
                .local_addr()
                .map_err(|error| anyhow::anyhow!("cannot tell the address: {error}"))?;
            announce(&Address::Tcp(address))?;
            loop {
                let stream = listener.accept().await.map_err(cannot_accept)?;
                // Not the default of any operating system: an answer in two writes would wait for the peer's ACK.
                stream.set_nodelay(true).map_err(cannot_accept)?;
                connection(TokioIo::new(stream.compat()));
            }
        }
        Address::Unix(path) => {
            let listener = UnixListener::bind(&path)
                .map_err(|error| anyhow::anyhow!("cannot bind {}: {error}", path.display()))?;
            announce(&Address::Unix(path))?;
            loop {
                let stream = listener.accept().await.map_err(cannot_accept)?;
                connection(TokioIo::new(stream.compat()));
            }
        }
        Address::Tls(_) => anyhow::bail!("this peer listens on IP:PORT or unix:PATH, not on {listen}"),
    }
}

fn cannot_accept(error: glommio::GlommioError<()>) -> anyhow::Error {
    anyhow::anyhow!("cannot accept: {error}")
}

/// Without upgrades: hyper wants an upgraded stream to be `Send`, and one that stays on its thread isn't.
fn connection<S: Read + Write + Unpin + 'static>(stream: S) {
    glommio::spawn_local(async {
        // A peer that went away is no news.
        let _ = http1::Builder::new()
            .serve_connection(stream, service_fn(|request| answer(request, None)))
            .await;
    })
    .detach();
}
