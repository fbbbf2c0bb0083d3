//! ntex with its defaults: on tokio, or on its own runtime by io_uring, as the package's features say.
//!
//! The newest that Rust 1.88 builds. NODELAY is ntex's own default, on each of its runtimes.

mod app;

use anyport_bench_child::{Address, announce, end_with_parent};
use clap::Parser;
use ntex::web::{App, HttpServer};
use socket2::{Domain, Socket, Type};
use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    process::ExitCode,
};

/// Not ntex's default, which is 1,024: the same for all servers of the bench.
const BACKLOG: i32 = 4096;

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
    let workers = options.workers.get();
    anyhow::ensure!(
        cfg!(any(feature = "tokio", feature = "uring")),
        "built without a runtime, and ntex would take any; build it with --features tokio or --features uring"
    );
    end_with_parent()?;
    // What `#[ntex::main]` makes of a `main`.
    let system = ntex::rt::System::build().build(ntex::rt::DefaultRuntime);
    system.block_on(async move {
        let listener = bind(address).map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))?;
        announce(&Address::Tcp(listener.local_addr()?))?;
        HttpServer::new(async || App::new().configure(app::configure))
            // By default one per core; every server of the bench has as many as it's told.
            .workers(workers)
            .listen(listener)?
            .run()
            .await?;
        Ok(())
    })
}

/// ntex's own `bind` doesn't tell which port it got.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // As ntex's own `bind` does.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
