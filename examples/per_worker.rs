//! How do I keep state without a lock, one per worker, and let the workers talk?
//! `cargo run --example per_worker -- --workers 4`.
//!
//! Each worker counts its requests in a `Cell`, which no other thread sees, and tells one central
//! task of each; that one alone knows the sum. `curl http://127.0.0.1:3000/` answers
//! `worker 1: 17 requests here, 33 in all`. SIGTERM or Ctrl-C drains it.
use anyport::{
    Body, BoxError, Request, Response, Result, Tcp, per_worker, serve_with, service_fn, shutdown,
};
use clap::Parser;
use std::{cell::Cell, process::ExitCode, rc::Rc};
use tokio::sync::{mpsc, oneshot};

#[derive(Parser)]
#[command(about = "Counts requests: on each worker, and in all")]
struct Options {
    /// Where to listen: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// How many workers, each with a thread of its own; by default one per core.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

/// A worker tells of one request, and wants to know the sum.
type Tell = oneshot::Sender<u64>;

/// The central task: the sum is its own, so it needs no lock either.
async fn tally(mut told: mpsc::Receiver<Tell>) {
    let mut sum = 0;
    while let Some(tell) = told.recv().await {
        sum += 1;
        // Nobody waits for the answer any more, if the client has left.
        let _ = tell.send(sum);
    }
}

/// What one worker has: an `Rc` of it is shared by the worker's connections, and never leaves its
/// thread.
struct Counter {
    worker: usize,
    here: Cell<u64>,
    tally: mpsc::Sender<Tell>,
}

async fn count(counter: Rc<Counter>) -> Result<Response<String>, BoxError> {
    let here = counter.here.get() + 1;
    counter.here.set(here);
    let (tell, answer) = oneshot::channel();
    counter.tally.send(tell).await?;
    let (worker, all) = (counter.worker, answer.await?);
    Ok(Response::new(format!(
        "worker {worker}: {here} requests here, {all} in all\n"
    )))
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
    // Room for as many as may wait: a worker that's faster than the tally waits, too.
    let (tell, told) = mpsc::channel(1024);
    tokio::spawn(tally(told));
    let app = per_worker(move |worker| {
        let counter = Rc::new(Counter {
            worker: worker.index(),
            here: Cell::new(0),
            tally: tell.clone(),
        });
        service_fn(move |_: Request<Body>| count(Rc::clone(&counter)))
    });
    let mut server = serve_with(Tcp::bind(options.listen.as_str()).per_core(), app);
    if let Some(workers) = options.workers {
        server = server.workers(workers);
    }
    let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
    for endpoint in running.endpoints() {
        println!("listening on {endpoint} (try: curl http://{endpoint}/)");
    }
    println!("{}", running.wait().await?);
    Ok(())
}
