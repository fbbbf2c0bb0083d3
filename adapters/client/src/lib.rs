//! An HTTP client for [anyport](https://docs.rs/anyport): a pool with exact caps and fair queues,
//! over any transport and on any runtime.
//!
//! ```
//! use anyport_client::Client;
//! use anyport_core::Body;
//! # use anyport_core::serve_with;
//! # use http::{Request, Response};
//! # use std::convert::Infallible;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let app = tower::service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new("hi".to_owned())));
//! # let server = serve_with(anyport_tcp::Tcp::bind("127.0.0.1:0"), app).start()?;
//! # let uri = format!("http://{}/", server.endpoints()[0]);
//! let client = Client::new()?;
//! let request = http::Request::get(uri).body(Body::empty())?;
//! let response = client.send(request).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(()) }
//! ```
//!
//! # The pool
//!
//! Each [`Origin`] has its connections: idle ones, and active ones. A request uses the idle
//! connection that was used last. Without one, the pool opens another, and the request waits. The
//! first connection that becomes free serves it.
//!
//! - **Caps** for each origin and in all are exact. They include attempts, upgraded connections,
//!   and those that are closing. At the cap in all, an idle connection of another origin is closed.
//! - **The queue** of an origin is first come, first served, and has a deadline.
//! - **Idle and old connections** close, each a little earlier than the limit, at random.
//! - **HTTP/2** is chosen by ALPN. A connection takes as many requests as the server's SETTINGS
//!   allow. Further ones get another connection.
//! - **Retries**: a server may close an idle connection while a request is on its way, or refuse a
//!   request of HTTP/2. The request is sent again, up to five times, if nothing was read, its
//!   method is idempotent (RFC 9110, section 9.2.2), and it has no body. A request that fails on a
//!   new connection is not. The other idle connections of the origin close, too, since they have
//!   been idle for longer. A request that was not yet sent goes to another connection in any case.
//!
//! The pool does not use that of hyper-util, which has no caps, no expiry and no deadline.
//!
//! # Connections and runtimes
//!
//! A [connection factory](MakeConnection) makes the connections: [`Names`] looks up names,
//! [`Fixed`] connects to one endpoint, and [`make_connection_fn`] is for anything else. A client lives on the
//! ambient tokio ([`Builder::build`]) or on one worker of any runtime
//! ([`Builder::build_per_worker`]); [`ClientRuntime`] explains the difference.
//!
//! # Layers
//!
//! A [`Client`] is a tower service. Redirects, decompression and cookies are layers around it. An
//! upgrade is `hyper::upgrade::on(response)`.
#![cfg_attr(docsrs, feature(doc_cfg))]
mod builder;
mod client;
mod client_runtime;
mod config;
mod connection;
mod deadline;
mod either_connection;
mod either_factory;
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
pub use either_factory::{EitherFactory, MakeEither};
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
