//! `axum::serve` with its defaults, on a single-threaded tokio, for more workers on a work-stealing
//! one.
//!
//! Its feature `http2` is no default: with it, a port speaks HTTP/1 and HTTP/2, as anyport's
//! does.

use anyport_bench_app::router;
use anyport_bench_child::{Address, announce, end_with_parent, listen};
use axum::{
    extract::{WebSocketUpgrade, ws::WebSocket},
    response::Response,
    routing::get,
    serve::ListenerExt as _,
};
use clap::Parser;
use std::{ffi::OsString, num::NonZeroUsize};
use tokio::{net::TcpListener, runtime::Builder};

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

/// Serves, as the arguments say; the first one is the program's name.
///
/// # Errors
///
/// When it cannot listen.
pub fn run(arguments: Vec<OsString>) -> anyhow::Result<()> {
    serve(&Options::parse_from(arguments))
}

fn serve(options: &Options) -> anyhow::Result<()> {
    let Address::Tcp(address) = options.listen else {
        anyhow::bail!("this peer listens on IP:PORT, not on {}", options.listen);
    };
    end_with_parent()?;
    let runtime = match options.workers.get() {
        1 => Builder::new_current_thread().enable_all().build(),
        n => Builder::new_multi_thread()
            .worker_threads(n)
            .enable_all()
            .build(),
    }?;
    runtime.block_on(async {
        let listener = listen(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        announce(&Address::Tcp(listener.local_addr()?))?;
        let listener = listener.tap_io(|stream| {
            // Not axum's default, but the same for all servers of the bench. A peer that went away
            // is no news.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router(get(websocket))).await?;
        Ok(())
    })
}

/// The read buffer of tungstenite's WebSockets. Its default is 128 KiB, which it fills with zeros
/// before each read and keeps while it waits.
const BUFFER: usize = 4096;

async fn websocket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.read_buffer_size(BUFFER).on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}
