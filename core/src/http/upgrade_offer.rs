//! An upgrade that an HTTP/1 request offers. From then on, hyper gives the I/O object to whoever
//! has the other end of the offer when the connection is over, also if the app ignored it; dropped
//! there, it would be closed without a goodbye, and what its peer sends still would reset it. So
//! the connection keeps an end, too.
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
    /// The offer of a request that began in this turn.
    static OFFER: RefCell<Option<OnUpgrade>> = const { RefCell::new(None) };
}

/// The connection whose turn it is, is offered this.
pub(super) fn record(offer: OnUpgrade) {
    drop(OFFER.replace(Some(offer)));
    poll_scope::set_needs_attention();
}

/// What was offered in this turn.
pub(super) fn take() -> Option<OnUpgrade> {
    OFFER.take()
}

/// The I/O object of a connection that's over, if hyper gave it to the offer.
#[cfg(feature = "http1")]
pub(super) fn io<C: Connection>(mut offer: OnUpgrade) -> Option<Accepted<C>> {
    match Pin::new(&mut offer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(upgraded)) => Some(upgraded.downcast().ok()?.io),
        _ => None,
    }
}
