//! How do I change what any transport does, for example to test with a slow network?
//! `cargo run --example latency -- --delay-ms 200`, then
//! `curl -w '%{time_total} s\n' http://127.0.0.1:3000/`.
//!
//! Connections and bytes of clients arrive late. The inner transport can be any; this one is TCP.
//! `tests/latency.rs` runs the behaviour suite over it.
use anyport::{
    Body, Connection, Request, Response, Result, Tcp, Transport,
    runtime::shutdown,
    serve_with, service_fn,
    transport::{Intercept, Intercepted},
};
use clap::Parser;
use hyper::rt::ReadBufCursor;
use std::{
    convert::Infallible,
    io,
    pin::Pin,
    process::ExitCode,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// Delays what is read. All other operations go to the inner connection unchanged.
pub(crate) struct Latency {
    delay: Duration,
    timer: Pin<Box<Sleep>>,
    is_delaying: bool,
}

impl Latency {
    /// Creates the timer on the worker: later polls may come from a thread without a runtime.
    pub(crate) fn new(delay: Duration) -> Self {
        Self {
            delay,
            timer: Box::pin(sleep(delay)),
            is_delaying: false,
        }
    }
}

impl<C: Connection> Intercept<C> for Latency {
    fn poll_readable(&mut self, inner: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_delaying {
            ready!(inner.poll_readable(cx))?;
            self.is_delaying = true;
            self.timer.as_mut().reset(Instant::now() + self.delay);
        }
        self.timer.as_mut().poll(cx).map(Ok)
    }

    fn poll_read(
        &mut self,
        mut inner: Pin<&mut C>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_readable(inner.as_mut(), cx))?;
        self.is_delaying = false;
        inner.poll_read(cx, buf)
    }
}

#[derive(Parser)]
#[command(about = "Serves over a slow network")]
struct Options {
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// The delay of a new connection, and of the bytes that arrive on it, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 200)]
    delay_ms: u64,
}

async fn hello(_: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("Hello from afar!\n".into()))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<()> {
    let delay = Duration::from_millis(options.delay_ms);
    let transport = Tcp::bind(options.listen.as_str())
        .map_handshake(move |handshake| async move {
            sleep(delay).await;
            handshake.await
        })
        .map_connection(move |inner| Intercepted::new(inner, Latency::new(delay)));
    let server = serve_with(transport, service_fn(hello));
    let running = server.with_graceful_shutdown(shutdown::signal()).start()?;
    anyport_examples::print_curl(&running, "http");
    running.wait().await?;
    Ok(())
}
