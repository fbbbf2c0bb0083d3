//! How do I get at the bytes themselves? `cargo run --example raw_echo -- --listen 127.0.0.1:3000`,
//! then `nc 127.0.0.1 3000`.
//!
//! Sends back whatever it gets. Limits and drain are the server's, as with HTTP: SIGTERM or Ctrl-C
//! lets open connections go on for five seconds.
use anyport::{Connection, Result, Tcp, Timeouts, TokioIo, serve_raw_with, shutdown};
use clap::Parser;
use std::{process::ExitCode, time::Duration};
use tokio::io::{copy, split};

#[derive(Parser)]
#[command(about = "Sends back whatever it gets")]
struct Options {
    /// Where to listen: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
}

/// Any connection of any transport; `TokioIo` gives it tokio's `AsyncRead` and `AsyncWrite`. It
/// ends when this does.
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
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let running = serve_raw_with(Tcp::bind(options.listen.as_str()), echo)
        .timeouts(Timeouts::default().with_drain(Duration::from_secs(5)))
        .with_graceful_shutdown(shutdown::signal())
        .start()?;
    for endpoint in running.endpoints() {
        println!("listening on {endpoint}");
    }
    println!("{}", running.wait().await?);
    Ok(())
}
