//! The load that wrk, oha and h2load cannot make: in slices of milliseconds, over Unix sockets, and
//! with every response checked. It runs on one thread, and costs far less per request than a
//! server.
//!
//! Request bytes are made once. Of most responses, only the length and the status are checked.
//! Every wait has a timeout.
#![cfg(target_os = "linux")]

mod clients;
mod connection;
mod fetch;
mod h2load;
mod idle;
mod mixed;
mod program;
mod run;
mod scanner;
mod timeout;
mod tls;

pub use anyport_bench_child::{Address, Workload};
pub use clients::{Clients, Handshake, Kind};
pub use fetch::{Response, fetch};
pub use h2load::H2Load;
pub use idle::IdleConnections;
pub use mixed::Mixed;
pub use program::{children_time, require};
pub use run::{Amount, CpuUse, Load, Outcome};
pub use timeout::{Interrupted, Timeout};
