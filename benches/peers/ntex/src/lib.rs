//! ntex with its defaults: on tokio, or on its own runtime by io_uring, as the package's features
//! say.
//!
//! The newest that Rust 1.88 builds. NODELAY is ntex's own default, on each of its runtimes.

mod app;

use anyport_bench_child::{Address, announce, end_with_parent, listen};
use clap::Parser;
use ntex::{
    http::HttpService,
    web::{App, HttpServer},
};
use std::{num::NonZeroUsize, process::ExitCode};

#[derive(Debug, Parser)]
#[command(about = "Serves the app of the bench, until its stdin ends")]
struct Options {
    /// Where to listen: IP:PORT of this machine; port 0 is any free one.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// How many threads serve.
    #[arg(long, value_name = "N", default_value = "1")]
    workers: NonZeroUsize,
    /// Speak HTTP/2 instead of HTTP/1.
    #[arg(long)]
    http2: bool,
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
    let (workers, http2) = (options.workers.get(), options.http2);
    anyhow::ensure!(
        cfg!(any(feature = "tokio", feature = "uring")),
        "built without a runtime; build it with --features tokio or --features uring"
    );
    end_with_parent()?;
    // What `#[ntex::main]` makes of a `main`.
    let system = ntex::rt::System::build().build(ntex::rt::DefaultRuntime);
    system.block_on(async move {
        // ntex's own `bind` does not give the port.
        let listener = listen(address)?;
        announce(&Address::Tcp(listener.local_addr()?))?;
        let app = async || App::new().configure(app::configure);
        // By default, ntex has a worker per core.
        if http2 {
            // What its `HttpServer` does, but for the protocol: that one speaks HTTP/2 only where
            // ALPN agreed on it.
            let server = ntex::server::build().workers(workers);
            let server = server.listen("http2", listener, async move |_| {
                HttpService::h2(app().await)
            })?;
            server.run().await?;
        } else {
            HttpServer::new(app)
                .workers(workers)
                .listen(listener)?
                .run()
                .await?;
        }
        Ok(())
    })
}
