//! How do I serve a protocol of my own, on the bytes of a connection?
//! `cargo run --example raw_echo -- --listen 127.0.0.1:3000`, then `nc 127.0.0.1 3000`.
//!
//! This protocol is an echo. The server applies limits and the drain as it does with HTTP: after
//! SIGTERM or Ctrl-C, open connections have five seconds to end.
use anyport::{
    Connection, Result, Tcp, Timeouts,
    runtime::{TokioIo, shutdown},
    serve_raw_with,
};
use clap::Parser;
use std::{process::ExitCode, time::Duration};
use tokio::io::{copy, split};

#[derive(Parser)]
#[command(about = "Echoes the bytes of each connection")]
struct Options {
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
}

/// Handles a connection of any transport, which ends with this function. `TokioIo` implements
/// tokio's `AsyncRead` and `AsyncWrite` for it.
async fn echo(connection: impl Connection) {
    let peer = connection.info().peer().clone();
    let (mut reader, mut writer) = split(TokioIo::new(connection));
    match copy(&mut reader, &mut writer).await {
        Ok(bytes) => println!("{peer}: {bytes} bytes"),
        Err(error) => println!("{peer}: {error}"),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<()> {
    let running = serve_raw_with(Tcp::bind(options.listen.as_str()), echo)
        .timeouts(Timeouts::default().with_drain(Duration::from_secs(5)))
        .with_graceful_shutdown(shutdown::signal())
        .start()?;
    if let Some(addr) = running.endpoints()[0].socket_addr() {
        println!("try: nc {} {}", addr.ip(), addr.port());
    }
    running.wait().await?;
    Ok(())
}
