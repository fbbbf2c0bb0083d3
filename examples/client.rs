//! How do I send requests with one client, over HTTPS or over any transport?
//! `cargo run --example client -- https://example.com/ --count 4`, or, to a Unix socket,
//! `cargo run --example client -- http://localhost/ --unix /run/app.sock`.
//!
//! It prints each response, and at the end what became of the connections.
use anyport::{
    Body, Request,
    client::{Client, ClientRuntime, Fixed, MakeConnection},
    error::BoxError,
    transport::{Endpoint, UnixName, unix::UnixConnector},
};
use clap::Parser;
use futures_util::future::try_join_all;
use http_body_util::BodyExt;
use std::{path::PathBuf, time::Duration};

#[derive(Clone, Parser)]
#[command(about = "Sends requests, and prints the responses")]
struct Options {
    /// An `http` or `https` URI.
    uri: String,
    /// How many requests, all at once.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// How many connections at most.
    #[arg(long, default_value_t = 2)]
    connections: usize,
    /// Connects to this Unix socket, whatever the host is.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
}

/// One request. Every part of the program uses a clone of the same client.
async fn get<F: MakeConnection, M: ClientRuntime<F, Body>>(
    client: Client<F, Body, M>,
    uri: &str,
) -> Result<(), BoxError> {
    let request = Request::get(uri).body(Body::empty())?;
    let response = client.send(request).await?;
    let (status, version) = (response.status(), response.version());
    let body = response.into_body().collect().await?.to_bytes();
    println!("{version:?} {status}\n{}", String::from_utf8_lossy(&body));
    Ok(())
}

async fn run<F: MakeConnection, M: ClientRuntime<F, Body>>(
    client: Client<F, Body, M>,
    options: Options,
) -> Result<(), BoxError> {
    let requests = (0..options.count).map(|_| get(client.clone(), &options.uri));
    try_join_all(requests).await?;
    let counts = client.counts();
    let (opened, reused) = (counts.opened, counts.reused);
    println!("{opened} connections were opened, and used again {reused} times");
    Ok(())
}

async fn choose(options: Options) -> Result<(), BoxError> {
    if let Some(path) = &options.unix {
        let socket = Endpoint::Unix(UnixName::Path(path.as_path().into()));
        let builder = Client::builder(Fixed::new(UnixConnector::new(), socket));
        let client = builder.max_per_origin(options.connections).build();
        return run(client, options).await;
    }
    // `Client::new()?` has the same settings but these two.
    let client = Client::https_builder(anyport::tls::TlsClientConfig::platform())?
        .max_per_origin(options.connections)
        .timeout(Duration::from_secs(30))
        .build();
    run(client, options).await
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    anyport_examples::exit_code(choose(Options::parse()).await)
}
