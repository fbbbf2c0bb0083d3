//! How do I serve several names, each with a certificate of its own? `cargo run --example sni`,
//! then:
//!
//! ```text
//! curl -kv https://one.localhost:3443
//! curl -kv https://two.localhost:3443
//! ```
//!
//! curl shows the certificate; a name that's in none is refused.
use anyport::{
    Body, ConnInfo, HttpOptions, Request, Response, Result, Tcp, TlsConfig, TlsExt, serve_with,
    service_fn, shutdown, tls::Certificate,
};
use clap::Parser;
use std::{convert::Infallible, process::ExitCode};

#[derive(Parser)]
#[command(about = "Serves two names over HTTPS, each with a certificate of its own")]
struct Options {
    /// Where to listen: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3443")]
    listen: String,
}

/// Tells which name the client asked for, in its handshake.
async fn hello(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let info = request.extensions().get::<ConnInfo>();
    let name = info
        .and_then(|info| info.tls()?.server_name())
        .unwrap_or("nobody in particular");
    Ok(Response::new(format!("Hello from {name}!\n")))
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
    // Yours come from files: `Certificate::pem_files("one.pem", "one.key")`.
    let tls = TlsConfig::new(Certificate::self_signed(["one.localhost"])).with_certificate(
        Certificate::self_signed(["two.localhost", "*.two.localhost"]),
    );
    let running = serve_with(Tcp::bind(&*options.listen).tls(tls), service_fn(hello))
        .http(HttpOptions::default().with_conn_info())
        .with_graceful_shutdown(shutdown::signal())
        .start()?;
    for endpoint in running.endpoints() {
        println!(
            "listening on {endpoint} (try: curl -k --connect-to ::{endpoint} https://two.localhost/)"
        );
    }
    println!("{}", running.wait().await?);
    Ok(())
}
