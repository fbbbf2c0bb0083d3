//! How do I have a thread per core, on the runtime of my choice?
//! `cargo run --example thread_per_core --features monoio -- --transport monoio`.
//!
//! The app is made on each worker and never leaves its thread, so it counts in a `Cell` behind an
//! `Rc`: no lock, no atomic, nothing that has to be `Send`. It's the same app on each of the three
//! runtimes. `curl http://127.0.0.1:3000/` answers `request 17 of worker 1`. SIGTERM or Ctrl-C
//! drains it.
use anyport::{
    Body, Error, Request, Response, Result, Server, Tcp, per_worker, serve_with, service_fn,
    shutdown,
};
use clap::{Parser, ValueEnum};
use std::{cell::Cell, convert::Infallible, process::ExitCode, rc::Rc};

#[derive(Parser)]
#[command(about = "Counts the requests of each worker, without a lock")]
struct Options {
    /// What each worker runs on.
    #[arg(long, value_enum, default_value = "tcp-per-core")]
    transport: Transport,
    /// Where to listen: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// How many workers, each with a thread and a socket of its own; by default one per core.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Keep each worker on a core.
    #[arg(long)]
    pinned: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    /// A single-threaded tokio.
    TcpPerCore,
    /// A monoio, with io_uring, or epoll where that's refused (feature `monoio`).
    Monoio,
    /// A glommio, with io_uring (feature `glommio`).
    Glommio,
}

/// What one worker has: its connections share it, and nobody else sees it.
struct Counter {
    worker: usize,
    requests: Cell<u64>,
}

async fn count(counter: Rc<Counter>) -> Result<Response<String>, Infallible> {
    let number = counter.requests.get() + 1;
    counter.requests.set(number);
    let worker = counter.worker;
    Ok(Response::new(format!(
        "request {number} of worker {worker}\n"
    )))
}

fn server(options: &Options) -> Result<Server> {
    let app = per_worker(|worker| {
        let counter = Rc::new(Counter {
            worker: worker.index(),
            requests: Cell::new(0),
        });
        service_fn(move |_: Request<Body>| count(Rc::clone(&counter)))
    });
    let addr = options.listen.as_str();
    match options.transport {
        Transport::TcpPerCore => Ok(serve_with(Tcp::bind(addr).per_core(), app)),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        Transport::Monoio => Ok(serve_with(anyport::Monoio::bind(addr), app)),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        Transport::Glommio => Ok(serve_with(anyport::Glommio::bind(addr), app)),
        #[allow(
            unreachable_patterns,
            reason = "with both features on, on Linux, there's nothing left"
        )]
        missing => Err(Error::config(why_not(missing))),
    }
}

/// Why this transport isn't compiled in: its feature has its name.
fn why_not(transport: Transport) -> String {
    let value = transport.to_possible_value();
    let feature = value.as_ref().map_or("", |value| value.get_name());
    format!(
        "{feature} isn't compiled in: on Linux, `cargo run --example thread_per_core --features {feature}` does that"
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let mut server = server(options)?.with_graceful_shutdown(shutdown::signal());
    if let Some(workers) = options.workers {
        server = server.workers(workers);
    }
    if options.pinned {
        server = server.pinned();
    }
    let running = server.start()?;
    for endpoint in running.endpoints() {
        println!("listening on {endpoint} (try: curl http://{endpoint}/)");
    }
    println!("{}", running.wait().await?);
    Ok(())
}
