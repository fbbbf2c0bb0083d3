//! How do I run an app that is not `Send`, with a thread per core, on any runtime?
//! `cargo run --example thread_per_core --features monoio -- --transport monoio`.
//!
//! Each worker creates its own app, which stays on the worker's thread. The app counts in a `Cell`
//! behind an `Rc`, without a lock or an atomic. `curl http://127.0.0.1:3000/` gets
//! `request 17 of worker 1`. SIGTERM or Ctrl-C drains the server.
use anyport::{
    Body, Request, Response, Result, Server, Tcp, per_worker, runtime::shutdown, serve_with,
    service_fn,
};
use anyport_examples::{exit_code, not_compiled_in, print_curl};
use clap::{Parser, ValueEnum};
use std::{cell::Cell, convert::Infallible, process::ExitCode, rc::Rc};

#[derive(Parser)]
#[command(about = "Counts the requests of each worker, without a lock")]
struct Options {
    /// The runtime of each worker.
    #[arg(long, value_enum, default_value = "tcp-per-core")]
    transport: Transport,
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// The number of workers, each with a thread and a socket [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Pin each worker to a core.
    #[arg(long)]
    pinned: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    /// A single-threaded tokio.
    TcpPerCore,
    /// monoio: io_uring, or epoll where that is refused (feature `monoio`).
    Monoio,
    /// glommio: io_uring (feature `glommio`).
    Glommio,
}

/// The state of one worker, which its connections share.
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
        #[allow(unreachable_patterns, reason = "monoio may be compiled in")]
        Transport::Monoio => Err(not_compiled_in("monoio")),
        #[allow(unreachable_patterns, reason = "glommio may be compiled in")]
        Transport::Glommio => Err(not_compiled_in("glommio")),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    exit_code(run(&Options::parse()).await)
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
    print_curl(&running, "http");
    running.wait().await?;
    Ok(())
}
