//! trillium on a single-threaded tokio, for more workers on a work-stealing one: a server that is
//! bound to no runtime, with HTTP/1 and HTTP/2 of its own.

mod app;

use anyport_bench_child::{Address, announce, end_with_parent, listen};
use clap::Parser;
use std::{num::NonZeroUsize, process::ExitCode};
use tokio::{net::TcpListener, runtime::Builder};

#[derive(Debug, Parser)]
#[command(about = "Serves the app of the bench, until its stdin ends")]
struct Options {
    /// Where to listen: IP:PORT of this machine; port 0 is any free one.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// How many threads serve.
    #[arg(long, value_name = "N", default_value = "1")]
    workers: NonZeroUsize,
}

/// The whole of a server's `main`.
#[must_use]
pub fn run() -> ExitCode {
    match serve(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> anyhow::Result<()> {
    let Address::Tcp(address) = options.listen else {
        anyhow::bail!("this peer listens on IP:PORT, not on {}", options.listen);
    };
    end_with_parent()?;
    let runtime = match options.workers.get() {
        1 => Builder::new_current_thread().enable_all().build(),
        n => Builder::new_multi_thread()
            .worker_threads(n)
            .enable_all()
            .build(),
    }?;
    runtime.block_on(async {
        let listener = listen(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        announce(&Address::Tcp(listener.local_addr()?))?;
        trillium_tokio::config()
            .with_prebound_server(listener)
            // Not trillium's default, but the same for all servers of the bench.
            .with_nodelay()
            .run_async(app::app())
            .await;
        Ok(())
    })
}
