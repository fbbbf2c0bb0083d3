//! What every connection shares: accepting, the handshake, deadlines, counting, lingering,
//! draining.
//!
//! Two named futures do it all, so that a runtime can say in a bound whether they must be `Send`:
//! an [`AcceptLoop`] per worker and a [`ConnTask`] per connection. It knows bytes, permits and
//! time. It must not know what is spoken on a connection, which a [`Protocol`] does, nor how a
//! server is put together.
mod accept;
mod accepted;
mod addresses;
mod backoff;
mod config;
mod connection;
mod context;
mod deadline;
mod deadlines;
mod flags;
mod linger;
mod peer_watch;
mod permits;
mod place;
mod protocol;
mod shared;
mod state;
mod task;
pub(crate) mod turn;

pub use accept::AcceptLoop;
pub use accepted::Accepted;
pub use context::ConnContext;
pub use protocol::{Protocol, Raw};
pub use task::ConnTask;

pub(crate) use config::Config;
pub(crate) use connection::ConnState;
pub(crate) use deadline::Patience;
pub(crate) use shared::{Shared, WorkerEnd};
pub(crate) use state::{AtDrain, DrainBound, Stage, WorkerState};
