//! What one poll of a connection does, counted in a thread-local that's the connection's meanwhile:
//! an exchange with its peer needs no reference to it.
use std::cell::Cell;

thread_local! {
    /// Of the connection that's being polled, or dropped, on this thread. It's asked in its place,
    /// by `with`: what `get` or `replace` give out is looked at once more, for whether there was
    /// anything.
    static CURRENT: Cell<PollScope> = const { Cell::new(PollScope { exchanges: 0, open: 0, announces_close: false, needs_attention: false }) };
}

/// How far a connection has come. What runs in tasks of its own is only counted when it begins.
///
/// It's put in its place and taken back at each poll, so it's as small as a register.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(8))]
pub(crate) struct PollScope {
    /// How many exchanges there have been.
    pub(crate) exchanges: u32,
    /// How many of them are open: one, if any.
    open: u8,
    /// The peer is to be told to make a new connection next time.
    announces_close: bool,
    /// There's something to be seen to at the end of the poll.
    needs_attention: bool,
}

impl PollScope {
    /// Whether the peer waits for something.
    pub(crate) fn is_open(self) -> bool {
        self.open > 0
    }

    /// Polls a connection, or drops it, as the one that exchanges belong to. Inlined, since each
    /// exchange goes through it.
    #[inline(always)]
    pub(crate) fn enter<T>(&mut self, announces_close: bool, f: impl FnOnce() -> T) -> T {
        /// Puts back whose scope it was before, also if something panics.
        struct Back<'a>(&'a mut PollScope);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.swap();
            }
        }
        self.announces_close = announces_close;
        self.swap();
        let _back = Back(self);
        f()
    }

    /// With the one whose scope it is.
    fn swap(&mut self) {
        CURRENT.with(|current| *self = current.replace(*self));
    }

    /// Whether there's something to be seen to: see [`set_needs_attention`].
    pub(crate) fn needs_attention(self) -> bool {
        self.needs_attention
    }

    pub(crate) fn set_needs_attention(&mut self, needs_attention: bool) {
        self.needs_attention = needs_attention;
    }
}

/// Whether it's the scope of a connection whose peer waits for something.
pub(crate) fn is_open() -> bool {
    CURRENT.with(|scope| scope.get().is_open())
}

/// The connection whose scope it is has something to see to at the end of it.
pub(crate) fn set_needs_attention() {
    update(|scope| scope.needs_attention = true);
}

/// Counts for the connection whose scope it is.
fn update(f: impl FnOnce(&mut PollScope)) {
    CURRENT.with(|current| {
        let mut scope = current.get();
        f(&mut scope);
        current.set(scope);
    });
}

/// An exchange begins in a task of its own.
pub(crate) fn count_exchange() {
    update(|scope| scope.exchanges = scope.exchanges.wrapping_add(1));
}

/// Something that the peer asked, until it has been answered: open until it's dropped, which is in
/// its connection's scope.
#[derive(Debug)]
pub(crate) struct Exchange(());

impl Exchange {
    pub(crate) fn begin() -> Self {
        update(|scope| {
            scope.exchanges = scope.exchanges.wrapping_add(1);
            scope.open = scope.open.wrapping_add(1);
        });
        Self(())
    }

    /// Whether its answer says that the peer is to make a new connection next time.
    #[expect(
        clippy::unused_self,
        reason = "it proves that it's a connection's scope"
    )]
    pub(crate) fn closes_connection(&self) -> bool {
        CURRENT.with(|scope| scope.get().announces_close)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        update(|scope| scope.open = scope.open.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_dropped_in_the_turn_of_another_counts_for_itself() {
        let (mut one, mut other) = (PollScope::default(), PollScope::default());
        let exchange = other.enter(false, Exchange::begin);
        one.enter(true, || {
            let _mine = Exchange::begin();
            other.enter(false, || drop(exchange));
            assert!(CURRENT.get().is_open() && CURRENT.get().announces_close);
        });
        assert!(!one.is_open() && !other.is_open());
        assert_eq!((one.exchanges, other.exchanges), (1, 1));
        assert!(!CURRENT.get().is_open(), "nobody's scope");
    }

    #[test]
    fn a_panic_ends_a_turn() {
        let mut scope = PollScope::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            scope.enter(true, || panic!("in the middle"));
        }));
        assert!(panicked.is_err() && !CURRENT.get().announces_close);
    }
}
