//! anyport's server of the bench: one app over one of the transports, with the default limits and
//! timeouts; or a proxy.

#[cfg(feature = "faults")]
mod faults;
mod kind;
#[cfg(feature = "proxy")]
mod proxy;

use anyport::{
    Body, Request, Response,
    error::BoxError,
    runtime::shutdown,
    transport::{Endpoint, UnixName},
    ws::{self, WebSocket},
};
use anyport_bench_app::answer;
use anyport_bench_child::{Address, announce, end_with_parent, workload::WEBSOCKET};
use bytes::Bytes;
use clap::Parser;
use futures_util::future::{Either, ready};
use http_body_util::Full;
use kind::Kind;
use std::{ffi::OsString, num::NonZeroUsize, process::ExitCode};
use tokio::runtime::{Builder, Runtime};

#[derive(Debug, Parser)]
#[command(
    about = "Serves the app of the bench over one of anyport's transports, until its stdin ends"
)]
struct Options {
    /// What runs the app.
    #[arg(long, value_enum)]
    server: Kind,
    /// Where to listen: IP:PORT of this machine (port 0 is any free one), tls:IP:PORT, or
    /// unix:PATH.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// Worker threads.
    #[arg(long, value_name = "N", default_value = "1")]
    workers: NonZeroUsize,
    /// Where a proxy forwards to.
    #[cfg(feature = "proxy")]
    #[arg(long, value_name = "IP:PORT")]
    upstream: Option<std::net::SocketAddr>,
    /// A seeded regression.
    #[cfg(feature = "faults")]
    #[arg(long, value_enum)]
    fault: Option<faults::Fault>,
}

/// The whole of a server's `main`, with these arguments, which begin with the program's name.
#[must_use]
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match serve(&Options::parse_from(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> anyhow::Result<()> {
    end_with_parent()?;
    #[cfg(feature = "faults")]
    if let Some(fault) = options.fault {
        fault.enable();
    }
    runtime(options.workers)?.block_on(async {
        let server = options.server.server(options)?;
        let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
        for endpoint in running.endpoints() {
            announce(&address(endpoint, &options.listen)?)?;
        }
        running.wait().await?;
        Ok(())
    })
}

/// Not an `async fn`, whose future would hold the request.
fn app(
    mut request: Request<Body>,
) -> impl Future<Output = Result<Response<Full<Bytes>>, BoxError>> {
    #[cfg(feature = "faults")]
    faults::apply_to_request();
    if request.uri().path() != WEBSOCKET {
        return Either::Left(answer(request));
    }
    let response = ws::upgrade(&mut request, &ws::Config::default(), echo);
    Either::Right(ready(Ok(response.map(|_| Full::default()))))
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if message.is_data() && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// The runtime of transports that run on the ambient tokio. For others, it waits for signals.
fn runtime(workers: NonZeroUsize) -> std::io::Result<Runtime> {
    match workers.get() {
        1 => Builder::new_current_thread().enable_all().build(),
        n => Builder::new_multi_thread()
            .worker_threads(n)
            .enable_all()
            .build(),
    }
}

/// The address to announce.
fn address(endpoint: &Endpoint, listen: &Address) -> anyhow::Result<Address> {
    match (endpoint, endpoint.socket_addr(), listen) {
        (Endpoint::Unix(UnixName::Path(path)), ..) => Ok(Address::Unix(path.to_path_buf())),
        (_, Some(address), Address::Tls(_)) => Ok(Address::Tls(address)),
        (_, Some(address), _) => Ok(Address::Tcp(address)),
        _ => anyhow::bail!("the bench cannot connect to {endpoint}"),
    }
}
