//! The servers that are measured: an echo over each transport, by this crate and by
//! tokio-tungstenite.
use anyhow::{Context as _, Result, bail};
use anyport_core::{Body, Server, serve_with};
use anyport_tls::{TlsConfig, TlsExt};
use anyport_ws::{self as ws, Config, WebSocket};
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, env, io::stdin, time::Duration};
use tokio::runtime::Builder;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};
use tower::service_fn;

const LOCAL: &str = "127.0.0.1:0";
/// The variables that hold the certificate and the key of a server over TLS, as PEM.
pub(crate) const CERTIFICATE: &str = "COST_CERTIFICATE";
pub(crate) const KEY: &str = "COST_KEY";
/// The line on standard input that starts the drain.
pub(crate) const DRAIN: &str = "drain";

/// The echo of this crate.
async fn ours(mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(ws::upgrade(
        &mut request,
        &Config::default(),
        |mut socket: WebSocket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if message.is_data() && socket.send(message).await.is_err() {
                    return;
                }
            }
        },
    ))
}

/// The echo of tokio-tungstenite.
async fn theirs(mut request: Request<Body>) -> Result<Response<Body>> {
    let key = request
        .headers()
        .get(header::SEC_WEBSOCKET_KEY)
        .context("no key")?;
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(
            header::SEC_WEBSOCKET_ACCEPT,
            derive_accept_key(key.as_bytes()),
        );
    let upgrade = hyper::upgrade::on(&mut request);
    anyport_core::runtime::spawn(async {
        let Ok(upgraded) = upgrade.await else { return };
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let io = TokioIo::new(upgraded);
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        while let Some(Ok(message)) = socket.next().await {
            let is_data = message.is_text() || message.is_binary();
            if is_data && socket.send(message).await.is_err() {
                return;
            }
        }
    })?;
    Ok(response.body(Body::empty())?)
}

fn server(transport: &str, library: &str) -> Result<Server> {
    let tcp = || anyport_tcp::Tcp::bind(LOCAL).per_core().with_workers(1);
    let tls = || -> Result<_> {
        let config = TlsConfig::from_pem(env::var(CERTIFICATE)?, env::var(KEY)?);
        Ok(tcp().tls(config))
    };
    let monoio = || anyport_monoio::Monoio::bind(LOCAL).with_workers(1);
    let glommio = || anyport_glommio::Glommio::bind(LOCAL).with_workers(1);
    Ok(match (transport, library) {
        ("tcp", "anyport-ws") => serve_with(tcp(), service_fn(ours)),
        ("tcp", _) => serve_with(tcp(), service_fn(theirs)),
        ("tls", "anyport-ws") => serve_with(tls()?, service_fn(ours)),
        ("tls", _) => serve_with(tls()?, service_fn(theirs)),
        ("monoio", "anyport-ws") => serve_with(monoio(), service_fn(ours)),
        ("monoio", _) => serve_with(monoio(), service_fn(theirs)),
        ("glommio", "anyport-ws") => serve_with(glommio(), service_fn(ours)),
        ("glommio", _) => serve_with(glommio(), service_fn(theirs)),
        _ => bail!("there is no transport {transport}"),
    })
}

/// Serves until standard input ends. The line `drain` starts a graceful shutdown, whose report goes
/// to standard output.
pub(crate) fn serve(transport: &str, library: &str) -> Result<()> {
    let running = server(transport, library)?.start()?;
    println!("{}", running.endpoints()[0]);
    for line in stdin().lines() {
        if line? == DRAIN {
            let drained = running.shutdown(Duration::from_secs(60));
            let report = Builder::new_current_thread().build()?.block_on(drained)?;
            println!("{report}");
            return Ok(());
        }
    }
    drop(running.abort());
    Ok(())
}
