//! How do I serve several names, each with its own certificate? `cargo run --example sni`, then:
//!
//! ```text
//! curl -kv https://one.localhost:3443
//! curl -kv https://two.localhost:3443
//! ```
//!
//! curl prints the certificate. A name that no certificate contains is refused.
use anyport::{
    Body, ConnInfo, HttpOptions, Request, Response, Result, Tcp,
    runtime::shutdown,
    serve_with, service_fn,
    tls::{Certificate, TlsConfig, TlsExt},
};
use clap::Parser;
use std::{convert::Infallible, process::ExitCode};

#[derive(Parser)]
#[command(about = "Serves two names over HTTPS, each with its own certificate")]
struct Options {
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3443")]
    listen: String,
}

/// Responds with the name that the client sent in its handshake (SNI).
async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let info = request.extensions().get::<ConnInfo>();
    let name = info
        .and_then(|info| info.tls()?.server_name())
        .unwrap_or("an unnamed server");
    Ok(Response::new(format!("Hello from {name}!\n")))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<()> {
    // Load your own certificates from files: `Certificate::pem_files("one.pem", "one.key")`.
    let tls = TlsConfig::new(Certificate::self_signed(["one.localhost"])).with_certificate(
        Certificate::self_signed(["two.localhost", "*.two.localhost"]),
    );
    let running = serve_with(Tcp::bind(&*options.listen).tls(tls), service_fn(hello))
        .http(HttpOptions::default().with_conn_info())
        .with_graceful_shutdown(shutdown::signal())
        .start()?;
    for endpoint in running.endpoints() {
        println!("try: curl -k --connect-to ::{endpoint} https://two.localhost/");
    }
    running.wait().await?;
    Ok(())
}
