//! What one poll of a connection does, counted in a thread-local that's the connection's meanwhile:
//! an exchange with its peer needs no reference to it.
use std::cell::Cell;

thread_local! {
    /// Of the connection that's being polled, or dropped, on this thread. It's asked in its place,
    /// by `with`: what `get` or `replace` give out is looked at once more, for whether there was
    /// anything.
    static TURN: Cell<Turn> = const { Cell::new(Turn { begun: 0, open: 0, is_leaving: false, is_unusual: false }) };
}

/// How far a connection has come. What runs in tasks of its own is only counted when it begins.
///
/// It's put in its place and taken back at each poll, so it's as small as a register.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(8))]
pub(crate) struct Turn {
    /// How many exchanges there have been.
    pub(crate) begun: u32,
    /// How many of them are open: one, if any.
    open: u8,
    /// The peer is to be told to make a new connection next time.
    is_leaving: bool,
    /// There's something to be seen to at the end of the poll.
    is_unusual: bool,
}

impl Turn {
    /// Whether the peer waits for something.
    pub(crate) fn is_open(self) -> bool {
        self.open > 0
    }

    /// Polls a connection, or drops it, as the one that exchanges belong to. Inlined, since each
    /// exchange goes through it.
    #[inline(always)]
    pub(crate) fn take<T>(&mut self, is_leaving: bool, f: impl FnOnce() -> T) -> T {
        /// Puts back whose turn it was before, also if something panics.
        struct Back<'a>(&'a mut Turn);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.change_places();
            }
        }
        self.is_leaving = is_leaving;
        self.change_places();
        let _back = Back(self);
        f()
    }

    /// With the one whose turn it is.
    fn change_places(&mut self) {
        TURN.with(|current| *self = current.replace(*self));
    }

    /// Whether there's something to be seen to: see [`set_unusual`].
    pub(crate) fn is_unusual(self) -> bool {
        self.is_unusual
    }

    pub(crate) fn set_unusual(&mut self, is_unusual: bool) {
        self.is_unusual = is_unusual;
    }
}

/// Whether it's the turn of a connection whose peer waits for something.
pub(crate) fn is_open() -> bool {
    TURN.with(|turn| turn.get().is_open())
}

/// The connection whose turn it is has something to see to at the end of it.
pub(crate) fn set_unusual() {
    update(|turn| turn.is_unusual = true);
}

/// Counts for the connection whose turn it is.
fn update(f: impl FnOnce(&mut Turn)) {
    TURN.with(|current| {
        let mut turn = current.get();
        f(&mut turn);
        current.set(turn);
    });
}

/// An exchange begins in a task of its own.
pub(crate) fn count_exchange() {
    update(|turn| turn.begun = turn.begun.wrapping_add(1));
}

/// Something that the peer asked, until it has been answered: open until it's dropped, which is in
/// its connection's turn.
#[derive(Debug)]
pub(crate) struct Exchange(());

impl Exchange {
    pub(crate) fn begin() -> Self {
        update(|turn| {
            turn.begun = turn.begun.wrapping_add(1);
            turn.open = turn.open.wrapping_add(1);
        });
        Self(())
    }

    /// Whether its answer says that the peer is to make a new connection next time.
    #[expect(
        clippy::unused_self,
        reason = "it proves that it's a connection's turn"
    )]
    pub(crate) fn tells_to_leave(&self) -> bool {
        TURN.with(|turn| turn.get().is_leaving)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        update(|turn| turn.open = turn.open.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_dropped_in_the_turn_of_another_counts_for_itself() {
        let (mut one, mut other) = (Turn::default(), Turn::default());
        let exchange = other.take(false, Exchange::begin);
        one.take(true, || {
            let _mine = Exchange::begin();
            other.take(false, || drop(exchange));
            assert!(TURN.get().is_open() && TURN.get().is_leaving);
        });
        assert!(!one.is_open() && !other.is_open());
        assert_eq!((one.begun, other.begun), (1, 1));
        assert!(!TURN.get().is_open(), "nobody's turn");
    }

    #[test]
    fn a_panic_ends_a_turn() {
        let mut turn = Turn::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            turn.take(true, || panic!("in the middle"));
        }));
        assert!(panicked.is_err() && !TURN.get().is_leaving);
    }
}
