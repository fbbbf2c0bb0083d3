//! What every transport shares: accepting, handshakes, deadlines, counting, draining.
//!
//! Two named futures do it all, so that a runtime can say in a bound whether they must be `Send`: an [`AcceptLoop`] per worker and a
//! [`ConnTask`] per connection. Nothing here knows HTTP; a [`Protocol`](crate::Protocol) does.
mod accept;
mod accepted;
mod addresses;
mod connection;
mod context;
mod deadline;
mod deadlines;
mod flags;
mod linger;
pub(crate) mod panics;
mod peer_watch;
mod permit;
mod permits;
mod state;
mod task;
pub(crate) mod turn;
mod waker;

pub use accept::AcceptLoop;
pub use accepted::Accepted;
pub use context::ConnContext;
pub use permit::Permit;
pub use task::ConnTask;

pub(crate) use addresses::Addresses;
pub(crate) use connection::ConnState;
#[cfg(all(test, feature = "tokio"))]
pub(crate) use deadline::Deadline;
pub(crate) use deadline::Patience;
pub(crate) use permits::Permits;
pub(crate) use state::{AtDrain, Stage, WorkerState};
pub(crate) use waker::{Registered, WakerSlot};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what a mutex of the engine guards is consistent whenever a panic could happen.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
