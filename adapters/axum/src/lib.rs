//! [anyport](https://docs.rs/anyport) for [axum](https://docs.rs/axum): extractors for facts about
//! the connection, and functions that join anyport's transports and `axum::serve`.
//!
//! A `Router` is an app without changes. [`app`] adds the facts about the connection to each
//! request, and the extractors read them:
//!
//! ```
//! use anyport_axum::{ConnectionInfo, Credentials, Peer, TlsSession, app};
//! use anyport_core::serve_with;
//! use axum::{Router, routing::get};
//! # use anyport_memory::Memory;
//! # use http_body_util::BodyExt as _;
//! # use hyper_util::rt::TokioIo;
//!
//! async fn who(Peer(peer): Peer, tls: Option<TlsSession>, credentials: Option<Credentials>) -> String {
//!     let how = if tls.is_some() { "over TLS" } else { "in plain text" };
//!     match credentials {
//!         Some(Credentials(cred)) => format!("{peer} asks {how}, as user {}", cred.uid),
//!         None => format!("{peer} asks {how}"),
//!     }
//! }
//!
//! async fn where_from(ConnectionInfo(info): ConnectionInfo) -> String {
//!     format!("connection {} on worker {}", info.id(), info.worker())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let router = Router::new().route("/", get(who)).route("/where", get(where_from));
//! # let memory = Memory::new();
//! # let (transport, connector) = (memory.clone(), memory.connector());
//! let running = serve_with(transport, app(router)).start()?; // over Tcp, Unix, or any other transport
//! # let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connector.connect()?)).await?;
//! # tokio::spawn(connection);
//! # for (path, expected) in [("/", "memory:client-1 asks in plain text"), ("/where", "connection 1 on worker 0")] {
//! #     let request = http::Request::get(path).header("host", "localhost").body(String::new())?;
//! #     let answer = client.send_request(request).await?.into_body().collect().await?.to_bytes();
//! #     assert_eq!(answer, expected);
//! # }
//! # drop(running.abort());
//! # Ok(()) }
//! ```
//!
//! With the feature `serve` (`axum-serve` of anyport), `listener(transport)` turns any transport on
//! the ambient tokio into a listener for `axum::serve`. `transport(listener)` turns any listener of
//! `axum::serve` into a transport.
#![cfg_attr(docsrs, feature(doc_cfg))]
mod app;
mod extract;
mod rejection;
#[cfg(feature = "serve")]
mod serve;

pub use app::{AddConnInfo, HasConnectInfo, WithConnInfo, app};
pub use extract::{ConnectionInfo, Credentials, DrainSignal, Peer, TlsSession};
pub use rejection::ConnectionRejection;
#[cfg(feature = "serve")]
pub use serve::{AxumConnections, AxumListener, AxumTransport, listener, transport, transport_at};
