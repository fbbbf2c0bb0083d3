//! How does my app learn who its clients are, behind haproxy or a cloud's balancer?
//! `cargo run --example behind_haproxy -- --trust 127.0.0.0/8`, then
//! `curl --haproxy-protocol http://localhost:3000/`; or haproxy in front, with this:
//!
//! ```text
//! frontend web
//!     mode tcp
//!     bind :8080
//!     default_backend app
//! backend app
//!     mode tcp
//!     option httpchk GET /
//!     server app 127.0.0.1:3000 check send-proxy-v2
//! ```
//!
//! The app sees each client's own address, and so does the limit of connections per address. If
//! haproxy terminates TLS, `send-proxy-v2-ssl-cn` gives the app the facts about the TLS connection.
//! Health checks are connections of haproxy itself, so their peer is haproxy.
use anyport::{
    Body, ConnInfo, HttpOptions, Limits, Request, Response, Result, Tcp,
    proxy_protocol::{Policy, ProxyProtocolExt},
    runtime::shutdown,
    serve_with, service_fn,
};
use clap::Parser;
use std::{convert::Infallible, fmt::Write, process::ExitCode};

#[derive(Parser)]
#[command(about = "Tells each client its address, behind a proxy that sends PROXY headers")]
struct Options {
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: String,
    /// The networks of the proxies, such as 10.0.0.0/8. Their connections begin with a header.
    #[arg(long, required = true)]
    trust: Vec<String>,
    /// Serve other clients without a header, too; by default, their connections are closed.
    #[arg(long)]
    others: bool,
    /// How many connections one client may have.
    #[arg(long, default_value_t = 100)]
    per_client: usize,
}

async fn who(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let Some(info) = request.extensions().get::<ConnInfo>() else {
        return Ok(Response::new("nobody knows you\n".into()));
    };
    let mut text = format!("You are {}", info.peer());
    let _ = match info.proxy() {
        Some(proxy) => writeln!(text, ", behind {proxy}"),
        None => writeln!(text, ", without a proxy"),
    };
    let Some(proxied) = info.proxied() else {
        return Ok(Response::new(text));
    };
    if let Some(destination) = &proxied.destination {
        let _ = writeln!(text, "You connected to {destination}");
    }
    if let Some(tls) = &proxied.tls {
        let version = tls.version.as_deref().unwrap_or("TLS");
        let _ = writeln!(text, "You and the proxy speak {version}");
        if let (true, Some(name)) = (tls.verified, &tls.common_name) {
            let _ = writeln!(text, "Your certificate says {name}");
        }
    }
    Ok(Response::new(text))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let policy = match options.others {
        true => Policy::only_from(&options.trust),
        false => Policy::required_from(&options.trust),
    };
    let transport = Tcp::bind(&*options.listen).proxy_protocol(policy);
    let server = serve_with(transport, service_fn(who))
        .http(HttpOptions::default().with_conn_info())
        .limits(Limits::default().with_connections_per_ip(options.per_client))
        .with_graceful_shutdown(shutdown::signal());
    let running = server.start()?;
    for endpoint in running.endpoints() {
        println!("try: curl --haproxy-protocol http://{endpoint}/");
    }
    running.wait().await?;
    Ok(())
}
