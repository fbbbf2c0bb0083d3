//! Unix sockets on tokio for [anyport](https://docs.rs/anyport): paths, abstract names and peer
//! credentials.
//!
//! On systems other than Unix, this crate is empty.
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
//! let app = tower::service_fn(|_: Request<Body>| async {
//!     Ok::<_, Infallible>(Response::new(Body::from("Hello!")))
//! });
//! serve_with(Unix::bind("/run/app.sock").with_mode(0o660), app).await?;
//! # Ok(()) }
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg(unix)]

mod connection;
mod connector;
mod listener;

pub use anyport_core::socket::unix::UnixSocket;
pub use connection::UnixConnection;
pub use connector::{UnixConnector, UnixDial};
pub use listener::UnixListener;

use anyport_core::{
    runtime::{Tokio, TokioPerCore},
    socket::unix::UnixTransport,
};

/// Unix sockets on tokio.
///
/// [`bind`](UnixTransport::bind) runs on the tokio runtime that starts the server. That runtime
/// moves connections between its threads, so the app must be `Send`.
/// [`per_core`](UnixTransport::per_core) gives each worker a thread and a single-threaded runtime of
/// its own. Nothing moves there, so the app may be `!Send`. All workers accept on duplicates of one
/// socket.
///
/// [`ConnInfo::peer_cred`](anyport_core::ConnInfo::peer_cred) has the credentials of the peer.
///
/// ```
/// # use anyport_unix::Unix;
/// let ambient = Unix::bind("/run/app.sock").with_mode(0o660);
/// let per_core = Unix::bind("/run/app.sock").per_core();
/// let two_workers = Unix::bind("/run/app.sock").per_core().with_workers(2);
/// ```
pub type Unix = UnixTransport<Tokio, UnixListener>;

/// Unix sockets on a single-threaded tokio runtime per core: the result of
/// [`Unix::per_core`](UnixTransport::per_core).
pub type UnixPerCore = UnixTransport<TokioPerCore, UnixListener>;
