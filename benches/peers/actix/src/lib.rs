//! actix-web with its defaults.
//!
//! Its `bind` speaks HTTP/1 alone; this one finds out which HTTP it is, as anyport does.

mod app;

use actix_web::{App, HttpServer, rt};
use anyport_bench_child::{Address, BACKLOG, announce, end_with_parent};
use clap::Parser;
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
    end_with_parent()?;
    rt::System::new().block_on(async {
        let downloads = app::Downloads::new();
        let server = HttpServer::new(move || {
            App::new().configure(|config| app::configure(config, &downloads))
        })
        // By default, actix has a worker per core.
        .workers(workers)
        // Not actix's default, which is 1,024.
        .backlog(BACKLOG.cast_unsigned())
        // Not actix's default, but the same for all servers of the bench.
        .tcp_nodelay(true)
        .bind_auto_h2c(address)
        .map_err(|error| anyhow::anyhow!("cannot bind {address}: {error}"))?;
        for address in server.addrs() {
            announce(&Address::Tcp(address))?;
        }
        server.run().await?;
        Ok(())
    })
}
