//! Connects to a host by its name, over any transport of [anyport](https://docs.rs/anyport), by
//! Happy Eyeballs version 2 ([RFC 8305]).
//!
//! A [`Connector`](anyport_core::transport::Connector) connects to one address. A host has several:
//! IPv6 and IPv4, and some may be dead. [`HappyEyeballs`] looks both families up at the same time,
//! and tries their addresses one after another, 250 ms apart or as soon as one fails. The first
//! that connects wins, and the others are dropped. A dead address costs 250 ms instead of minutes.
//!
//! ```
//! use anyport_connect::{HappyEyeballs, Hosts};
//! use anyport_core::{Connection, Runtime, runtime::Tokio};
//! use anyport_tcp::TcpConnector;
//! # use std::net::{IpAddr, Ipv4Addr, TcpListener};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
//! # let port = listener.local_addr()?.port();
//! # let hosts = Hosts::new().with("example.com", [IpAddr::from(Ipv4Addr::LOCALHOST)]);
//! let happy_eyeballs = HappyEyeballs::new(TcpConnector::new(), Tokio::current().timer());
//! # let happy_eyeballs = happy_eyeballs.with_resolver(hosts);
//! let connection = happy_eyeballs.connect("example.com", port).await?;
//! println!("connected to {}", connection.info().peer());
//! # Ok(()) }
//! ```
//!
//! A connect spawns no task and needs no runtime of its own: the timer is the worker's. So it works
//! on tokio, monoio and glommio alike, also inside an app.
//!
//! | resolver | looks names up | works on |
//! |---|---|---|
//! | [`SystemResolver`] | by getaddrinfo(3), on up to 16 threads; the default | every runtime |
//! | `HickoryResolver` | by DNS itself, with a cache (feature `hickory`) | every runtime, while the tokio runtime that it was created in runs |
//! | [`Hosts`] | in a table | every runtime |
//! | your own [`Resolve`] | as you like | |
//!
//! To connect to a Unix socket, or to an address without a race, use the connector itself.
//!
//! [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
#![cfg_attr(docsrs, feature(doc_cfg))]
mod candidates;
mod connect;
mod error;
mod family;
mod family_memory;
mod happy_eyeballs;
mod name;
mod order;
mod race;
mod resolve;
#[cfg(test)]
mod tests;
mod wake_up;

pub use connect::Connect;
pub use error::{Attempt, ConnectError, ConnectErrorKind};
pub use happy_eyeballs::HappyEyeballs;
pub use resolve::{Answer, HostAnswers, Hosts, Resolve, SystemAnswers, SystemResolver};
#[cfg(feature = "hickory")]
pub use resolve::{HickoryAnswers, HickoryResolver};
