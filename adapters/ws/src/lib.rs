//! WebSockets for [anyport](https://docs.rs/anyport): on every transport and runtime, over HTTP/1.1
//! (RFC 6455) and HTTP/2 (RFC 8441).
//!
//! | | feature |
//! |---|---|
//! | [`upgrade`], [`accept`]: serve WebSockets | |
//! | `ClientHandshake`: opens WebSockets over any connection | `client` |
//! | `WebSocketUpgrade`: an extractor for axum | `axum` |
//! | `Deflate`: compressed messages (RFC 7692) | `deflate` |
//! | HTTP/2, for both ends | `http2` |
//!
//! Any app can serve WebSockets with [`upgrade`], or with [`accept`] if it spawns its tasks itself.
//! An axum handler uses the extractor `WebSocketUpgrade`.
//!
//! ```
//! use anyport_core::{Body, serve_with};
//! use anyport_ws::{self as ws, Config, WebSocket};
//! use http::{Request, Response};
//! use tower::service_fn;
//! # use anyport_memory::Memory;
//!
//! async fn echo(mut socket: WebSocket) {
//!     while let Some(Ok(message)) = socket.recv().await {
//!         if message.is_data() && socket.send(message).await.is_err() {
//!             return;
//!         }
//!     }
//! }
//!
//! async fn app(mut request: Request<Body>) -> anyport_core::Result<Response<Body>> {
//!     Ok(ws::upgrade(&mut request, &Config::default(), echo))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyport_core::Result<()> {
//! # let transport = Memory::new();
//! let running = serve_with(transport, service_fn(app)).start()?; // over Tcp, Unix, or any other transport
//! # drop(running.abort());
//! # Ok(()) }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "client")]
mod client;
mod config;
mod error;
mod handshake;
mod message;
mod protocol;
mod socket;

#[cfg(feature = "axum")]
pub use self::axum::WebSocketUpgrade;
#[cfg(feature = "client")]
pub use client::{ClientHandshake, HandshakeError, HandshakeErrorKind};
pub use config::Config;
pub use error::Error;
#[cfg(feature = "deflate")]
pub use handshake::Deflate;
pub use handshake::{Opening, Rejection, accept, upgrade};
pub use message::{CloseFrame, Message, Utf8Bytes, close_code};
pub use socket::{Receiver, Sender, WebSocket};
