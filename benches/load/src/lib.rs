//! The load of the bench: one thread, one request in flight per connection, and far less work per request than any server.
//!
//! Request bytes are made once, and of a response only what proves that it's whole is looked at. Every wait has an end.
#![cfg(unix)]

mod answer;
mod closed_loop;
mod crowd;
mod handshakes;
mod patience;
mod request;
mod scanner;
mod socket;
mod stream;
mod tls;

pub use answer::{Answer, ask};
pub use anyport_bench_child::Address;
pub use closed_loop::{Amount, ClosedLoop};
pub use crowd::Crowd;
pub use handshakes::{Handshake, Handshakes};
pub use patience::{Interrupted, Patience};
