//! A server is the last expression of `main`, whatever its errors are.
#![cfg(all(feature = "tcp", feature = "http1"))]
use anyport::{Server, Tcp, serve_with};
use axum::Router;
use std::{error::Error, io};

fn server() -> Server {
    serve_with(Tcp::bind("3000"), Router::<()>::new())
}

async fn with_own_error() -> anyport::Result<()> {
    server().await
}

fn without_async() -> anyport::Result<()> {
    server().run()
}

async fn with_boxed_error() -> Result<(), Box<dyn Error>> {
    Ok(server().await?)
}

async fn with_anyhow() -> anyhow::Result<()> {
    Ok(server().await?)
}

async fn with_io_error() -> io::Result<()> {
    Ok(server().await?)
}

/// `main` prints the error with `Debug`.
fn printed<E: std::fmt::Debug>(result: Result<(), E>) -> String {
    match result {
        Ok(()) => "no error".into(),
        Err(error) => format!("{error:?}"),
    }
}

#[tokio::test]
async fn every_main_prints_the_error_once() {
    let plain = std::thread::spawn(without_async).join().unwrap();
    for printed in [
        printed(with_own_error().await),
        printed(plain),
        printed(with_boxed_error().await),
        printed(with_anyhow().await),
        printed(with_io_error().await),
    ] {
        assert_eq!(printed.matches("cannot bind 3000").count(), 1, "{printed}");
        let reason = printed.matches("the host is missing").count();
        assert_eq!(reason, 1, "{printed}");
    }
}
