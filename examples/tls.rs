//! How do I serve HTTPS, and renew the certificate without a restart?
//! `cargo run --example tls`, then `curl -k https://localhost:3443`.
//!
//! Without files, each start generates a certificate for development. With files, SIGHUP reloads
//! them, and open connections continue:
//!
//! ```text
//! cargo run --example tls -- --cert cert.pem --key key.pem
//! ```
//!
//! SIGTERM or Ctrl-C drains the server.
use anyport::{
    Body, ConnInfo, HttpOptions, Request, Response, Result, Tcp,
    runtime::shutdown,
    serve_with, service_fn,
    tls::{TlsConfig, TlsExt},
};
use clap::Parser;
use std::{convert::Infallible, path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(about = "Serves HTTPS, with a certificate for development or with yours")]
struct Options {
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3443")]
    listen: String,
    /// The certificate chain in PEM, beginning with the server's certificate.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// Responds with the negotiated versions and cipher suite.
async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let info = request.extensions().get::<ConnInfo>();
    let tls = info
        .and_then(ConnInfo::tls)
        .map_or_else(String::new, |tls| {
            format!(" over {} with {}", tls.version(), tls.cipher_suite())
        });
    Ok(Response::new(format!(
        "Hello, {:?}{tls}!\n",
        request.version()
    )))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let tls = match (options.cert, options.key) {
        (Some(cert), Some(key)) => TlsConfig::from_pem_files(cert, key),
        _ => TlsConfig::self_signed(["localhost", "127.0.0.1", "::1"]),
    };
    let running = serve_with(
        Tcp::bind(&*options.listen).tls(tls.clone()),
        service_fn(hello),
    )
    .http(HttpOptions::default().with_conn_info())
    .with_graceful_shutdown(shutdown::signal())
    .start()?;
    anyport_examples::print_curl(&running, "https");
    #[cfg(unix)]
    tokio::spawn(reload_on_hangup(tls));
    running.wait().await?;
    Ok(())
}

/// SIGHUP is the usual signal for changed files.
#[cfg(unix)]
async fn reload_on_hangup(tls: TlsConfig) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    while hangup.recv().await.is_some() {
        match tls.reload() {
            Ok(()) => println!("reloaded"),
            Err(error) => eprintln!("error: {error}"),
        }
        // The server logs those of its start.
        for warning in tls.warnings() {
            eprintln!("warning: {warning}");
        }
    }
}
