//! The work that requests leave until their HTTP/1 connection has been polled: faults to report,
//! and tasks that continue after a response's head.
use crate::engine::{
    ConnState,
    poll_scope::{self, Exchange},
};
use crate::observe::Event;
use std::{cell::RefCell, future::Future, pin::Pin};

thread_local! {
    /// Faults of the app.
    static FAULTS: RefCell<Vec<Fault>> = const { RefCell::new(Vec::new()) };
    /// The work to continue after the response that has begun.
    static BACKGROUND: RefCell<Option<Background>> = const { RefCell::new(None) };
}

/// Work that continues after a response's head, polled by the connection's task.
pub(super) type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A fault of the app.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// A panic, with its message.
    Panic(String),
    /// A response that breaks a rule of HTTP.
    Response(&'static str),
}

impl Fault {
    #[cold]
    pub(super) fn report(&self, state: &ConnState) {
        match self {
            Self::Panic(message) => state.panicked(message),
            Self::Response(what) => state.observe(|| Event::BadResponse { id: state.id, what }),
        }
    }
}

/// Records a fault. The connection reports it after the poll.
pub(super) fn add_fault(_: &Exchange, fault: Fault) {
    FAULTS.with_borrow_mut(|faults| faults.push(fault));
    poll_scope::set_needs_attention();
}

#[cold]
pub(super) fn take_faults() -> Vec<Fault> {
    FAULTS.take()
}

/// Sets the work that the connection being polled continues after its response.
pub(super) fn set_background(background: Background) {
    if poll_scope::is_open() {
        // Dropping the old future may run any code.
        drop(BACKGROUND.replace(Some(background)));
        poll_scope::set_needs_attention();
    }
}

#[cold]
pub(super) fn take_background() -> Option<Background> {
    BACKGROUND.take()
}
