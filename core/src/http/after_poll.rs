//! What requests leave to be seen to when their HTTP/1 connection has been polled: faults to
//! report, and what's done behind a response.
use crate::engine::{
    ConnState,
    poll_scope::{self, Exchange},
};
use crate::observe::Event;
use std::{cell::RefCell, future::Future, pin::Pin};

thread_local! {
    /// What the app did wrong.
    static FAULTS: RefCell<Vec<Fault>> = const { RefCell::new(Vec::new()) };
    /// What's to be done behind the response that began.
    static BACKGROUND: RefCell<Option<Background>> = const { RefCell::new(None) };
}

/// What a connection does behind a response: it's polled in the connection's turns.
pub(super) type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What an app does wrong.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// It panicked, with these words.
    Panic(String),
    /// Its response breaks a rule of HTTP.
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

/// The app did something wrong in this exchange: its connection reports it.
pub(super) fn add_fault(_: &Exchange, fault: Fault) {
    FAULTS.with_borrow_mut(|faults| faults.push(fault));
    poll_scope::set_needs_attention();
}

#[cold]
pub(super) fn take_faults() -> Vec<Fault> {
    FAULTS.take()
}

/// The connection whose turn it is, and that's answering, has something to do background its response.
pub(super) fn set_background(background: Background) {
    if poll_scope::is_open() {
        // Dropping the old one may run anything.
        drop(BACKGROUND.replace(Some(background)));
        poll_scope::set_needs_attention();
    }
}

#[cold]
pub(super) fn take_background() -> Option<Background> {
    BACKGROUND.take()
}
