//! In-process connections for [anyport](https://docs.rs/anyport), to test an app with its server
//! and without a network.
//!
//! ```
//! use anyport_core::{Body, serve_with};
//! use anyport_memory::Memory;
//! use http::{Request, Response};
//! use hyper_util::rt::TokioIo;
//! use std::convert::Infallible;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = tower::service_fn(|_: Request<Body>| async {
//!     Ok::<_, Infallible>(Response::new(Body::from("Hello!")))
//! });
//! let memory = Memory::new();
//! let connector = memory.connector();
//! let running = serve_with(memory, app).start()?;
//!
//! // Any client that takes a stream works. This one is hyper's.
//! let stream = TokioIo::new(connector.connect()?);
//! let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await?;
//! tokio::spawn(connection);
//! let request = Request::get("/").header("host", "localhost").body(String::new())?;
//! assert_eq!(client.send_request(request).await?.status(), 200);
//! # drop(running.abort());
//! # Ok(()) }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
mod connection;
mod connector;
mod listener;
mod queue;
mod transport;

pub use connection::{MemoryConnection, MemoryStream};
pub use connector::{MemoryClient, MemoryConnecting, MemoryConnector};
pub use listener::MemoryListener;
pub use queue::MemorySocket;
pub use transport::Memory;
