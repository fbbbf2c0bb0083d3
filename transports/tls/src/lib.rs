//! TLS over any transport of [anyport](https://docs.rs/anyport), by
//! [rustls](https://docs.rs/rustls).
//!
//! ```no_run
//! use anyport_core::{Body, Result, serve_with};
//! use anyport_tcp::Tcp;
//! use anyport_tls::{TlsConfig, TlsExt};
//! use http::{Request, Response};
//! use std::convert::Infallible;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let app = tower::service_fn(|_: Request<Body>| async {
//!     Ok::<_, Infallible>(Response::new(Body::from("Hello!")))
//! });
//! let tls = TlsConfig::from_pem_files("cert.pem", "key.pem");
//! serve_with(Tcp::bind("127.0.0.1:3443").tls(tls), app).await?;
//! # Ok(()) }
//! ```
//!
//! It supports TLS 1.2 and 1.3, over TCP, Unix sockets, memory, a transport of your own, or another
//! TLS. ALPN offers the protocols of the server. Apps find the result of the handshake in
//! [`ConnInfo::tls`](anyport_core::ConnInfo::tls).
#![cfg_attr(docsrs, feature(doc_cfg))]
mod client_handshake;
mod client_hello;
mod config;
mod connection;
mod connector;
mod counting_io;
mod handshake;
mod listener;
mod plaintext_http;
mod proxy_header;
mod reject;
mod session;
mod transport;
mod worker_tls;

pub use client_handshake::TlsClientHandshake;
pub use config::{Certificate, ClientAuth, Provider, Roots, TlsClientConfig, TlsConfig};
pub use connection::TlsConnection;
pub use connector::{TlsConnecting, TlsConnector, TlsConnectorExt};
pub use handshake::TlsHandshake;
pub use listener::TlsListener;
pub use session::Session;
pub use transport::{Tls, TlsExt};

/// rustls, for [`TlsConfig::from_rustls`] and [`TlsClientConfig::from_rustls`].
#[doc(no_inline)]
pub use rustls;

/// Serves an app over TLS and TCP on the tokio runtime that awaits it:
/// `listen_secure(3443, config, app).await`.
///
/// A bare port listens on every interface, IPv6 and IPv4;
/// [`BindAddr`](anyport_core::socket::BindAddr) lists the other forms of an address. The function is
/// short for `serve_with(Tcp::bind(address).tls(config), app)`.
///
/// ```no_run
/// # use anyport_tls::{Tls, TlsConfig};
/// # use anyport_tcp::Tcp;
/// # async fn f<A: anyport_core::bounds::AppOver<Tls<Tcp>>>(app: A) -> anyport_core::Result<()> {
/// let tls = TlsConfig::from_pem_files("cert.pem", "key.pem");
/// anyport_tls::listen_secure(3443, tls, app).await?;
/// # Ok(()) }
/// ```
#[cfg(feature = "tcp")]
pub fn listen_secure<A>(
    address: impl Into<anyport_core::socket::BindAddr>,
    config: TlsConfig,
    app: A,
) -> anyport_core::Server
where
    A: anyport_core::App,
    A: anyport_core::bounds::AppOver<Tls<anyport_tcp::Tcp>>, // Not `Send`? Use `Arc`, not `Rc`; or a thread per worker: `Tcp::bind(..).per_core()`, `per_worker(..)`.
{
    anyport_core::serve_with(anyport_tcp::Tcp::bind(address).tls(config), app)
}
