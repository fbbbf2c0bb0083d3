//! The behaviour suite of [anyport](https://docs.rs/anyport): one set of tests for every transport,
//! ours or yours.
//!
//! The test target of a transport implements [`Subject`]: it creates the transport and connects
//! clients to it. The target sets `harness = false`:
//!
//! ```no_run
//! use anyport_core::{Transport, transport::Endpoint};
//! use anyport_testkit::{Subject, Suite};
//! use std::{io, process::ExitCode};
//! # use anyport_core::{ConnInfo, Listener, Result, runtime::{Tokio, Worker}, transport::{Conn, Connecting}};
//! # use hyper_util::rt::TokioIo;
//! # use tokio::io::DuplexStream;
//! # use std::{future::Ready, task::{Context, Poll}};
//! # #[derive(Clone)] struct Pipe;
//! # impl Pipe { fn new() -> Self { Self } async fn connect(_: &Endpoint) -> io::Result<DuplexStream> { todo!() } }
//! # impl Transport for Pipe {
//! #     type Runtime = Tokio; type Socket = (); type Listener = Pipe;
//! #     fn open(&self, _: usize) -> Result<Vec<()>> { todo!() }
//! #     fn endpoint(&self, _: &()) -> io::Result<Endpoint> { todo!() }
//! #     fn listen(&self, _: (), _: &Worker) -> io::Result<Pipe> { todo!() }
//! # }
//! # impl Listener for Pipe {
//! #     type Connection = Conn<TokioIo<DuplexStream>>; type Handshake = Ready<io::Result<Self::Connection>>;
//! #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Connecting<Self::Handshake>>> { todo!() }
//! # }
//!
//! struct MyPipe;
//!
//! impl Subject for MyPipe {
//!     const NAME: &str = "pipe";
//!     type Transport = Pipe;
//!     type Stream = DuplexStream;
//!
//!     fn transport(&self) -> Pipe {
//!         Pipe::new()
//!     }
//!
//!     async fn connect(&self, endpoint: &Endpoint) -> io::Result<DuplexStream> {
//!         Pipe::connect(endpoint).await
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     Suite::new().with(MyPipe).run()
//! }
//! ```
//!
//! Then `cargo test --test behaviour -- pipe::drain` runs one group of cases, and `--list` shows
//! all of them. A transport declares what it cannot do in [`Subject::capabilities`]. The cases that
//! need such a capability are ignored, with the reason.
//!
//! The cases of `contract` run first, one after the other. Each tests one rule of the contract. If
//! one of them fails, or one of `byte_stream`, the other cases are not run. A failure says what the
//! case asks of a transport, the sentence of the contract, what was seen, and where to look.
//!
//! These modules help with a transport's own tests:
//!
//! - [`fixture`]: an app and a blocking client
//! - [`process`]: a server in a process of its own
//! - [`aborted_connections`]: ten thousand connections that disconnect in every state
//! - [`non_reading_clients`]: clients that request much and read nothing
//! - [`burst`]: more events at once than a worker has room for
//! - [`instrumented`]: a transport that counts polls
//! - [`requirements`]: tests that not every machine can run
#![cfg_attr(docsrs, feature(doc_cfg))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot continue panics, with its location"
)]

mod app;
mod cases;
mod client;
pub mod connectors;
mod harness;
mod suite;

pub use harness::recorded_calls::Recorded;
pub use harness::subject::{Capabilities, Capability, LocalSubject, Served, Subject};
#[cfg(target_os = "linux")]
pub use harness::{aborted_connections, non_reading_clients, process};
pub use harness::{burst, fixture, instrumented, requirements};
pub use suite::Suite;
