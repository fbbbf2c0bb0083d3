//! How do I keep state per worker, without a lock, and let the workers communicate?
//! `cargo run --example per_worker -- --workers 4`.
//!
//! Each worker counts its requests in a `Cell`, and reports each request to a central task, which
//! has the sum. `curl http://127.0.0.1:3000/` gets `worker 1: 17 requests here, 33 in all`. SIGTERM
//! or Ctrl-C drains the server.
use anyport::{
    Body, Request, Response, Result, Tcp, error::BoxError, per_worker, runtime::shutdown,
    serve_with, service_fn,
};
use clap::Parser;
use std::{cell::Cell, process::ExitCode, rc::Rc};
use tokio::sync::{mpsc, oneshot};

#[derive(Parser)]
#[command(about = "Counts requests: on each worker, and in all")]
struct Options {
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// The number of workers, each with a thread of its own [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

/// A report of one request, with a channel for the sum.
type Report = oneshot::Sender<u64>;

/// The central task owns the sum, so that it needs no lock.
async fn tally(mut reports: mpsc::Receiver<Report>) {
    let mut sum = 0;
    while let Some(report) = reports.recv().await {
        sum += 1;
        // The receiver is gone if the client has disconnected.
        let _ = report.send(sum);
    }
}

/// The state of one worker. Its connections share an `Rc` of it on the worker's thread.
struct Counter {
    worker: usize,
    here: Cell<u64>,
    tally: mpsc::Sender<Report>,
}

async fn count(counter: Rc<Counter>) -> Result<Response<String>, BoxError> {
    let here = counter.here.get() + 1;
    counter.here.set(here);
    let (report, sum) = oneshot::channel();
    counter.tally.send(report).await?;
    let (worker, all) = (counter.worker, sum.await?);
    Ok(Response::new(format!(
        "worker {worker}: {here} requests here, {all} in all\n"
    )))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<()> {
    // A worker waits while the channel is full.
    let (reporter, reports) = mpsc::channel(1024);
    tokio::spawn(tally(reports));
    let app = per_worker(move |worker| {
        let counter = Rc::new(Counter {
            worker: worker.index(),
            here: Cell::new(0),
            tally: reporter.clone(),
        });
        service_fn(move |_: Request<Body>| count(Rc::clone(&counter)))
    });
    let mut server = serve_with(Tcp::bind(options.listen.as_str()).per_core(), app);
    if let Some(workers) = options.workers {
        server = server.workers(workers);
    }
    let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
    anyport_examples::print_curl(&running, "http");
    running.wait().await?;
    Ok(())
}
