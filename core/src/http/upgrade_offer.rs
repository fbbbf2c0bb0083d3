//! Upgrades that HTTP/1 requests offer.
//!
//! At the end of a connection, hyper moves the I/O object into the latest offer, even if the app
//! ignored that offer. Dropped there, the stream would close without a graceful end, and bytes that
//! are still arriving would reset it. So the connection keeps a clone of the offer, and takes the
//! I/O object from it.
use crate::engine::poll_scope;
#[cfg(feature = "http1")]
use crate::{engine::Accepted, transport::Connection};
use hyper::upgrade::OnUpgrade;
use std::cell::RefCell;
#[cfg(feature = "http1")]
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

thread_local! {
    /// The offer of a request that began in this poll.
    static OFFER: RefCell<Option<OnUpgrade>> = const { RefCell::new(None) };
}

/// Records an offer for the connection that is being polled.
pub(super) fn record(offer: OnUpgrade) {
    drop(OFFER.replace(Some(offer)));
    poll_scope::set_needs_attention();
}

/// The offer that was recorded in this poll.
pub(super) fn take() -> Option<OnUpgrade> {
    OFFER.take()
}

/// The I/O object of a closed connection, if hyper moved it into the offer.
#[cfg(feature = "http1")]
pub(super) fn io<C: Connection>(mut offer: OnUpgrade) -> Option<Accepted<C>> {
    match Pin::new(&mut offer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(upgraded)) => Some(upgraded.downcast().ok()?.io),
        _ => None,
    }
}
