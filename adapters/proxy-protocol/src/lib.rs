//! PROXY protocol for [anyport](https://docs.rs/anyport): an app behind a balancer sees the address
//! of each client.
//!
//! A balancer that forwards TCP connections hides the address of each client. With the
//! [PROXY protocol](https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt), versions 1 and 2,
//! it sends a header with that address first. This crate reads the header over any transport:
//!
//! ```no_run
//! use anyport_core::{Body, Result, serve_with};
//! use anyport_proxy_protocol::{Policy, ProxyProtocolExt};
//! use anyport_tcp::Tcp;
//! use http::{Request, Response};
//! use std::convert::Infallible;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let app = tower::service_fn(|_: Request<Body>| async {
//!     Ok::<_, Infallible>(Response::new(Body::from("Hello!")))
//! });
//! let balancers = Policy::required_from(["10.0.0.0/8"]);
//! serve_with(Tcp::bind("0.0.0.0:3000").proxy_protocol(balancers), app).await?;
//! # Ok(()) }
//! ```
//!
//! Then [`ConnInfo::peer`](anyport_core::transport::ConnInfo::peer) is the client, and
//! [`ConnInfo::proxy`](anyport_core::transport::ConnInfo::proxy) is the balancer.
//! [`ConnInfo::proxied`](anyport_core::transport::ConnInfo::proxied) has the other facts of the
//! header. The accept filter and the limit per address apply to the client.
//!
//! Where a balancer forwards HTTP requests instead of connections, [`ForwardedLayer`] reads the
//! `Forwarded` or `X-Forwarded-For` field of each request.
#![cfg_attr(docsrs, feature(doc_cfg))]
mod connection;
mod forwarded;
mod handshake;
mod header;
mod listener;
mod policy;
mod transport;
mod trusted;

pub use connection::{AfterHeader, ProxyProtocolConnection};
pub use forwarded::{Forwarded, ForwardedFuture, ForwardedLayer, ForwardedService};
pub use handshake::ProxyProtocolHandshake;
pub use listener::ProxyProtocolListener;
pub use policy::Policy;
pub use transport::{ProxyProtocol, ProxyProtocolExt};
pub use trusted::Trusted;
