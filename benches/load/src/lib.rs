//! The load of the bench: one thread, and far less work per request than any server.
//!
//! Request bytes are made once, and of a response only what proves that it's whole is looked at.
//! Every wait has an end.
#![cfg(target_os = "linux")]

mod amount;
mod answer;
mod churn;
mod closed_loop;
mod connection;
mod connections;
mod conversation;
mod crowd;
mod effort;
mod h2load;
mod handshakes;
mod mixed;
mod patience;
mod program;
mod scanner;
mod socket;
mod stream;
mod tls;

pub use amount::Amount;
pub use answer::{Answer, ask};
pub use anyport_bench_child::{Address, Workload};
pub use churn::{Churn, ChurnOutcome};
pub use closed_loop::{ClosedLoop, ClosedOutcome};
pub use crowd::Crowd;
pub use effort::Effort;
pub use h2load::{H2Load, H2Outcome};
pub use handshakes::{Handshake, HandshakeOutcome, Handshakes};
pub use mixed::Mixed;
pub use patience::{Interrupted, Patience};
pub use program::{children_time, look_for};
