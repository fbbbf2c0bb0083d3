//! How do I forward requests to another server, from any transport to any other?
//! `cargo run --example reverse_proxy -- --target http://127.0.0.1:8080`, or `unix:/run/app.sock`.
//!
//! Bodies stream in both directions, and WebSockets pass, also from HTTP/2 to HTTP/1.1. `Forwarded`
//! names the client. The response is 502 if the target fails, and 504 if it is too slow. If the
//! client disconnects, the request to the target ends.
use anyport::client::proxy::{self, Forwarded, Rejection, Target, Tunnel};
use anyport::client::{Builder, Client, ClientRuntime, MakeConnection, Names, ResponseBody};
use anyport::runtime::{Tokio, TokioIo, TokioPerCore, shutdown, spawn};
use anyport::tls::{TlsClientConfig, TlsConfig, TlsConnectorExt, TlsExt};
use anyport::transport::{tcp::TcpConnector, unix::UnixConnector};
use anyport::{Body, ConnInfo, HttpOptions, Request, Response, Result, Runtime, Server};
use anyport::{Error, Tcp, Unix, connect::HappyEyeballs, per_worker, serve_with, service_fn};
#[cfg(all(feature = "glommio", target_os = "linux"))]
use anyport::{Glommio, transport::glommio::*};
#[cfg(all(feature = "monoio", target_os = "linux"))]
use anyport::{Monoio, transport::monoio::*};
use clap::Parser;
use http_body_util::Either;
use std::{convert::Infallible, time::Duration};

#[derive(Parser)]
#[command(about = "Forwards each request to a target, and the response to the client")]
pub(crate) struct Options {
    /// tcp, tcp-per-core, unix, tls, or, as features of the examples, monoio and glommio.
    #[arg(long, default_value = "tcp")]
    transport: String,
    /// HOST:PORT (port 0 is any free one), or the path of a Unix socket.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// http://HOST:PORT, https://HOST:PORT, or unix:PATH.
    #[arg(long, value_name = "URL")]
    target: Target,
    /// How many milliseconds the target may take to begin its response.
    #[arg(long, value_name = "MS", default_value = "60000")]
    timeout: u64,
}

/// Forwards one request.
async fn forward<F: MakeConnection, M: ClientRuntime<F, Body>>(
    client: Client<F, Body, M>,
    target: &Target,
    mut request: Request<Body>,
) -> Result<Response<ResponseBody>, Rejection> {
    let upgrade = proxy::prepare_request(&mut request, &["websocket"])?;
    let info = request.extensions().get::<ConnInfo>();
    if let Some(forwarded) = info.map(|info| Forwarded::of(info, &request)) {
        // Clients are not trusted, so what they say about others is replaced.
        forwarded.replace(request.headers_mut());
    }
    target.set_on(&mut request);
    let mut response = client.send(request).await?;
    if let Some(tunnel) = proxy::prepare_response(&mut response, upgrade)? {
        let _ = spawn(copy(tunnel)); // A worker has a runtime, so this does not fail.
    }
    Ok(response)
}

/// Copies the bytes of a WebSocket until both sides have ended.
async fn copy(tunnel: Tunnel) {
    if let (Ok(client), Ok(target)) = tokio::join!(tunnel.client, tunnel.target) {
        let (mut client, mut target) = (TokioIo::new(client), TokioIo::new(target));
        let _ = tokio::io::copy_bidirectional(&mut client, &mut target).await;
    }
}

/// A proxy on a transport. Each worker has a client, which connects by these connectors.
macro_rules! proxy {
    ($options:ident, $transport:expr; $runtime:ty, $tcp:ty, $unix:ty, $($build:tt)+) => {{
        let timeout = Duration::from_millis($options.timeout);
        let alpn = TlsClientConfig::platform().with_alpn(["http/1.1"]); // It has upgrades.
        let (target, tls) = ($options.target.clone(), <$tcp>::new().tls(alpn)?);
        serve_with($transport, per_worker(move |_| {
            let timer = <$runtime>::current().timer();
            let hosts = Names::new(HappyEyeballs::new(<$tcp>::new(), timer.clone()));
            let hosts = hosts.with_https(HappyEyeballs::new(tls.clone(), timer));
            let factory = target.factory(hosts, <$unix>::new());
            let client = Builder::new(factory).head_timeout(timeout).$($build)+;
            let target = target.clone();
            service_fn(move |request| {
                let (client, target) = (client.clone(), target.clone());
                async move { Ok::<_, Infallible>(match forward(client, &target, request).await {
                    Ok(response) => response.map(Either::Left),
                    Err(rejection) => Response::<Body>::from(rejection).map(Either::Right),
                }) }
            })
        }))
    }};
}

pub(crate) fn server(options: &Options) -> Result<Server> {
    let (tcp, unix) = (Tcp::bind(&*options.listen), Unix::bind(&*options.listen));
    let tls = || TlsConfig::self_signed(["localhost"]);
    Ok(match &*options.transport {
        "tcp" => proxy!(options, tcp; Tokio, TcpConnector, UnixConnector, build()),
        "unix" => proxy!(options, unix; Tokio, TcpConnector, UnixConnector, build()),
        "tls" => proxy!(options, tcp.tls(tls()); Tokio, TcpConnector, UnixConnector, build()),
        "tcp-per-core" => proxy!(options, tcp.per_core(); TokioPerCore, TcpConnector,
            UnixConnector, build_per_worker::<TokioPerCore, _>()),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        "monoio" => proxy!(options, Monoio::bind(&*options.listen); MonoioPerCore, MonoioConnector,
            MonoioConnector, build_per_worker::<MonoioPerCore, _>()),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        "glommio" => proxy!(options, Glommio::bind(&*options.listen); GlommioPerCore,
            GlommioConnector, GlommioConnector, build_per_worker::<GlommioPerCore, _>()),
        other => return Err(Error::config(format!("there is no transport {other:?}"))),
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().init();
    let server = server(&Options::parse())?.with_graceful_shutdown(shutdown::signal());
    let http = HttpOptions::default().with_conn_info();
    server.http(http).await.map(drop)
}
