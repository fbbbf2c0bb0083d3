//! The traits and the server engine of [anyport](https://docs.rs/anyport): one tower app, any
//! transport.
//!
//! A server has four parts. Each part has a trait, and comes from any crate. A combination that
//! cannot work, such as a `!Send` app on a runtime that moves tasks between threads, does not
//! compile.
//!
//! | part | trait | role |
//! |---|---|---|
//! | transport | [`Transport`], with [`Listener`] and [`Connection`] | produces connections |
//! | protocol | [`Protocol`] | turns a connection into a task: HTTP, or a raw handler |
//! | app | [`App`] | answers requests: any tower service |
//! | runtime | [`Runtime`] | polls all of it |
//!
//! [`serve_with`] joins a transport and an app into a [`Server`]. This crate depends on no runtime
//! unless its feature `tokio` is on. Transports are crates of their own.
#![cfg_attr(docsrs, feature(doc_cfg))]
mod app;
pub mod bounds;
mod config;
mod engine;
pub mod error;
mod http;
pub mod observe;
pub mod protocol;
pub mod runtime;
mod server;
#[cfg(feature = "socket")]
pub mod socket;
pub mod transport;

pub use app::{App, Body, per_worker};
pub use config::{HttpOptions, Limits, Timeouts};
#[doc(inline)]
pub use error::{Error, Result};
#[doc(inline)]
pub use protocol::Protocol;
#[doc(inline)]
pub use runtime::Runtime;
pub use server::{Handle, Server, serve_raw_with, serve_with};
#[doc(inline)]
pub use transport::{ConnInfo, Connection, Listener, Transport};

/// Items for this crate's macros, and types of hidden methods.
#[doc(hidden)]
pub mod __private {
    pub use crate::{app::Piece, server::ServedTransport};
    pub use hyper::rt::{Read, ReadBufCursor, Write};
}
