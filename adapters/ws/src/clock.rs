//! The clock of the worker that a WebSocket is accepted on, whichever runtime that is.
use anyport_core::runtime::{SharedTimer, local};

/// `None`: this thread is no worker's, or one of tokio's without the feature `tokio`.
pub(crate) fn timer() -> Option<SharedTimer> {
    // A worker with tasks of its own is polling one.
    if local::polls() > 0 {
        return Some(local::timer());
    }
    on_tokio()
}

#[cfg(feature = "tokio")]
fn on_tokio() -> Option<SharedTimer> {
    use anyport_core::runtime::{Runtime, Tokio};
    Tokio::check().ok()?;
    Some(Tokio::current().timer())
}

#[cfg(not(feature = "tokio"))]
fn on_tokio() -> Option<SharedTimer> {
    None
}
