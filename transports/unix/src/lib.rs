//! Unix sockets on tokio for [anyport](https://docs.rs/anyport): a path or an abstract name, and who is at the other end.
//!
//! On a system that isn't a Unix, this crate is empty.
//!
//! ```no_run
//! # #[cfg(unix)] mod program {
//! use anyport_core::{Body, Result, serve_with};
//! use anyport_unix::Unix;
//! use http::{Request, Response};
//! use std::convert::Infallible;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let app = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("Hello!"))) });
//! serve_with(Unix::bind("/run/app.sock").with_mode(0o660), app).await?;
//! # Ok(()) }
//! # }
//! ```
#![cfg(unix)]

mod connection;
mod listener;
mod transport;

pub use anyport_core::socket::unix::UnixSocket;
pub use connection::UnixConnection;
pub use listener::UnixListener;
pub use transport::Unix;
