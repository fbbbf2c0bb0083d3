//! An HTTP client for [anyport](https://docs.rs/anyport): a pool with exact caps and fair queues, over
//! any transport.
#![cfg_attr(docsrs, feature(doc_cfg))]
mod builder;
mod client;
mod client_runtime;
mod config;
mod connection;
mod deadline;
mod either_connection;
mod error;
#[cfg(feature = "https")]
mod https;
mod machine;
mod make_connection;
mod names;
mod origin;
mod pool;
pub mod proxy;
mod request;
mod request_body;
mod response_body;
mod retry;
mod target;
mod waiting;

pub use builder::Builder;
pub use client::Client;
pub use client_runtime::{Ambient, ClientRuntime, PerWorker};
pub use connection::ClientIo;
pub use either_connection::EitherConnection;
pub use error::{Error, ErrorKind};
#[cfg(feature = "https")]
pub use https::{HttpsClient, HttpsNames};
pub use machine::Counts;
pub use make_connection::{
    BothPhases, Fixed, MakeConnection, MakeConnectionFn, make_connection_fn,
};
pub use names::{ConnectNames, Names};
pub use origin::{Origin, PoolKey};
pub use request_body::{ClientBody, RequestBody};
pub use response_body::ResponseBody;
