//! The parts that all connections share: accepting, the handshake, deadlines, counting, lingering,
//! draining.
//!
//! Two named futures do all of that: an [`AcceptLoop`] per worker and a [`ConnTask`] per
//! connection. Because they have names, a runtime can state in a bound whether they must be `Send`.
//!
//! The engine handles bytes, permits and time. It depends neither on the protocol of a connection,
//! which is a [`Protocol`], nor on the module `server`.
mod accept;
mod accepted;
mod accepted_io;
mod at_drain;
mod backoff;
mod config;
mod conn_flags;
mod conn_state;
mod context;
mod external_wakers;
mod incoming;
mod ip_limits;
mod linger;
mod open_conns;
mod peer_watch;
mod permits;
pub(crate) mod poll_scope;
mod protocol;
mod rearmable_timer;
mod server_state;
mod slot;
mod task;
mod timer_queue;
mod worker_guard;
mod worker_state;

pub use accept::AcceptLoop;
pub use accepted::Accepted;
pub use context::ConnContext;
pub use protocol::{Protocol, Raw};
pub use task::ConnTask;

pub(crate) use at_drain::AtDrain;
pub(crate) use config::Config;
pub(crate) use conn_state::{ConnState, WorkerState};
pub(crate) use rearmable_timer::LazyTimeout;
pub(crate) use server_state::ServerState;
pub(crate) use worker_guard::WorkerGuard;
pub(crate) use worker_state::{DrainBound, Stage};
