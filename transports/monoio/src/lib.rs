//! TCP and Unix sockets on monoio for [anyport](https://docs.rs/anyport): io_uring, one ring per core. Linux only.
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! # fn main() -> anyport_core::Result<()> {
//! use anyport_core::{Body, serve_with};
//! use anyport_monoio::Monoio;
//! use http::{Request, Response};
//! use std::convert::Infallible;
//!
//! let app = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("Hello!"))) });
//! serve_with(Monoio::bind("127.0.0.1:3000"), app).run()?;
//! # Ok(()) }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
#![cfg(target_os = "linux")]

mod buffer;
mod closing;
mod connection;
mod doorbell;
mod driver;
mod half;
mod listener;
mod operation;
mod postman;
mod receiving;
mod refusal;
mod room;
mod round;
mod runtime;
mod sending;
mod stream;
mod transport;
mod unix_listener;
mod unix_transport;

pub use connection::MonoioConnection;
pub use driver::Driver;
pub use listener::MonoioListener;
pub use runtime::MonoioPerCore;
pub use transport::Monoio;
pub use unix_listener::MonoioUnixListener;
pub use unix_transport::MonoioUnix;
