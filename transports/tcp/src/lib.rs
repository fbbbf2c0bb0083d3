//! TCP on tokio for [anyport](https://docs.rs/anyport): work-stealing, or one runtime per core.
//!
//! ```no_run
//! use anyport_core::{Body, Result, serve_with};
//! use anyport_tcp::Tcp;
//! use http::{Request, Response};
//! use std::convert::Infallible;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let app = tower::service_fn(|_: Request<Body>| async {
//!     Ok::<_, Infallible>(Response::new(Body::from("Hello!")))
//! });
//! serve_with(Tcp::bind("127.0.0.1:3000"), app).await?;
//! # Ok(()) }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
mod connection;
mod connector;
mod listener;

pub use connection::TcpConnection;
pub use connector::{TcpConnector, TcpDial};
pub use listener::TcpListener;

use anyport_core::{
    App, Server,
    bounds::AppOver,
    runtime::{Tokio, TokioPerCore},
    serve_with,
    socket::{BindAddr, TcpTransport},
};

/// TCP on tokio.
///
/// [`bind`](TcpTransport::bind) runs on the tokio runtime that starts the server. That runtime moves
/// connections between its threads, so the app must be `Send`. [`per_core`](TcpTransport::per_core)
/// gives each worker a thread, a single-threaded runtime and a socket of its own (SO_REUSEPORT).
/// Nothing moves there, so the app may be `!Send`.
///
/// ```
/// # use anyport_tcp::Tcp;
/// # use std::time::Duration;
/// let ambient = Tcp::bind("127.0.0.1:3000").with_keepalive(Duration::from_secs(60));
/// let per_core = Tcp::bind(3000).per_core();
/// let two_workers = Tcp::bind(3000).per_core().with_workers(2);
/// ```
pub type Tcp = TcpTransport<Tokio, TcpListener>;

/// TCP on a single-threaded tokio runtime per core: the result of
/// [`Tcp::per_core`](TcpTransport::per_core).
pub type TcpPerCore = TcpTransport<TokioPerCore, TcpListener>;

/// Serves an app over TCP on the tokio runtime that awaits it: `listen(3000, app).await`.
///
/// A bare port listens on every interface, IPv6 and IPv4; [`BindAddr`] lists the other forms of an
/// address. The function is short for `serve_with(Tcp::bind(address), app)`.
///
/// ```no_run
/// # async fn f<A: anyport_core::bounds::AppOver<anyport_tcp::Tcp>>(app: A) -> anyport_core::Result<()> {
/// anyport_tcp::listen(3000, app).await?;
/// # Ok(()) }
/// ```
pub fn listen<A>(address: impl Into<BindAddr>, app: A) -> Server
where
    A: App,
    A: AppOver<Tcp>, // Not `Send`? Use `Arc`, not `Rc`; or a thread per worker: `Tcp::bind(..).per_core()`, `per_worker(..)`.
{
    serve_with(Tcp::bind(address), app)
}
