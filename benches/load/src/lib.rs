//! The load that wrk, oha and h2load cannot make: in turns of milliseconds, over Unix sockets and
//! with every response checked. One thread, and far less work per request than any server.
//!
//! Request bytes are made once, and of a response only what proves that it's whole is looked at.
//! Every wait has an end.
#![cfg(target_os = "linux")]

mod answer;
mod connection;
mod crowd;
mod h2load;
mod load;
mod mixed;
mod patience;
mod program;
mod run;
mod scanner;
mod tls;

pub use answer::{Answer, ask};
pub use anyport_bench_child::{Address, Workload};
pub use crowd::Crowd;
pub use h2load::{H2Load, H2Outcome};
pub use load::{Handshake, Kind, Load};
pub use mixed::Mixed;
pub use patience::{Interrupted, Patience};
pub use program::{children_time, look_for};
pub use run::{Amount, Effort, Outcome};
