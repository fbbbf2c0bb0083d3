//! What one poll of an HTTP/1 connection does, counted in a thread-local that's the connection's meanwhile: a request needs no reference to its connection.
use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
};

thread_local! {
    /// Of the connection that's being polled, or dropped, on this thread. It's asked in its place, by `with`: what `get` or `replace` give out is looked at
    /// once more, for whether there was anything.
    static TURN: Cell<Turn> = const { Cell::new(Turn { requests: 0, answering: 0, leaving: false, unusual: false, offered: false }) };
    /// What the app did wrong in this turn.
    static FAULTS: RefCell<Vec<Fault>> = const { RefCell::new(Vec::new()) };
    /// What's to be done behind the response that began in this turn.
    static BEHIND: RefCell<Option<Behind>> = const { RefCell::new(None) };
}

/// What a connection does behind a response: it's polled in the connection's turns.
pub(crate) type Behind = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What an app does wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It panicked, with these words.
    Panic(String),
    /// Its response breaks a rule of HTTP.
    Response(&'static str),
}

/// How far a connection has come. HTTP/2 counts only its requests here; its streams run in tasks of their own.
///
/// It's put in its place and taken back at each poll, so it's as small as a register.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(8))]
pub(crate) struct Turn {
    /// How many requests there have been.
    pub(crate) requests: u32,
    /// How many of them are being answered, from the head to the end of the response: one, if any.
    answering: u8,
    /// Responses tell the peer to make a new connection next time.
    leaving: bool,
    /// The app did something wrong, there's something to be done behind a response, or an offer to be kept.
    unusual: bool,
    /// A request offered an upgrade.
    offered: bool,
}

impl Turn {
    pub(crate) fn is_answering(self) -> bool {
        self.answering > 0
    }

    /// Polls a connection, or drops it, as the one that requests belong to. Inlined, since each request goes through it.
    #[inline(always)]
    pub(crate) fn take<T>(&mut self, leaving: bool, f: impl FnOnce() -> T) -> T {
        /// Puts back whose turn it was before, also if something panics.
        struct Back<'a>(&'a mut Turn);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.change_places();
            }
        }
        self.leaving = leaving;
        self.change_places();
        let _back = Back(self);
        f()
    }

    /// With the one whose turn it is.
    fn change_places(&mut self) {
        TURN.with(|current| *self = current.replace(*self));
    }

    /// Whether there are [faults](take_faults), or something [to be done](take_behind).
    pub(crate) fn is_unusual(self) -> bool {
        self.unusual
    }

    /// Whether a request has ever offered to upgrade the connection: from then on hyper doesn't give its I/O object back, also if nothing came of the offer.
    pub(crate) fn was_offered_an_upgrade(self) -> bool {
        self.offered
    }

    pub(crate) fn set_unusual(&mut self, unusual: bool) {
        self.unusual = unusual;
    }
}

/// What the app did wrong in a turn that was unusual.
#[cold]
pub(crate) fn take_faults() -> Vec<Fault> {
    FAULTS.take()
}

/// What's to be done behind a response that began in a turn that was unusual.
#[cold]
pub(crate) fn take_behind() -> Option<Behind> {
    BEHIND.take()
}

/// Whether it's the turn of a connection that's answering a request.
pub(crate) fn is_answering() -> bool {
    TURN.with(|turn| turn.get().is_answering())
}

/// The connection whose turn it is, and that's answering, has something to do behind its response.
pub(crate) fn add_behind(behind: Behind) {
    if is_answering() {
        // Dropping the old one may run anything.
        drop(BEHIND.replace(Some(behind)));
        update(|turn| turn.unusual = true);
    }
}

/// The connection whose turn it is, is offered an upgrade by a request.
pub(crate) fn note_offer() {
    update(|turn| (turn.offered, turn.unusual) = (true, true));
}

/// Counts for the connection whose turn it is.
fn update(f: impl FnOnce(&mut Turn)) {
    TURN.with(|current| {
        let mut turn = current.get();
        f(&mut turn);
        current.set(turn);
    });
}

/// HTTP/2: a request begins, in a task of its own.
pub(crate) fn count_request() {
    update(|turn| turn.requests = turn.requests.wrapping_add(1));
}

/// HTTP/1: a request that's being answered, until it's dropped. Hyper polls and drops it in its connection's turn.
#[derive(Debug)]
pub(crate) struct Answering(());

impl Answering {
    /// A request begins.
    pub(crate) fn begin() -> Self {
        update(|turn| {
            turn.requests = turn.requests.wrapping_add(1);
            turn.answering = turn.answering.wrapping_add(1);
        });
        Self(())
    }

    /// Whether its response says that the peer is to make a new connection next time.
    #[expect(clippy::unused_self, reason = "it proves that it's a connection's turn")]
    pub(crate) fn tells_to_leave(&self) -> bool {
        TURN.with(|turn| turn.get().leaving)
    }

    /// The app did something wrong: the connection reports it at the end of its turn.
    #[expect(clippy::unused_self, reason = "it proves that it's a connection's turn")]
    pub(crate) fn report(&self, fault: Fault) {
        FAULTS.with_borrow_mut(|faults| faults.push(fault));
        update(|turn| turn.unusual = true);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        update(|turn| turn.answering = turn.answering.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_dropped_in_the_turn_of_another_counts_for_itself() {
        let (mut one, mut other) = (Turn::default(), Turn::default());
        let request = other.take(false, Answering::begin);
        one.take(true, || {
            let _mine = Answering::begin();
            other.take(false, || drop(request));
            assert!(TURN.get().is_answering() && TURN.get().leaving);
        });
        assert!(!one.is_answering() && !other.is_answering());
        assert_eq!((one.requests, other.requests), (1, 1));
        assert!(!TURN.get().is_answering(), "nobody's turn");
    }

    #[test]
    fn a_panic_ends_a_turn() {
        let mut turn = Turn::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            turn.take(true, || panic!("in the middle"));
        }));
        assert!(panicked.is_err() && !TURN.get().leaving);
    }
}
