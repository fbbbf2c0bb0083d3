//! Counts the exchanges of the connection that is being polled, in a thread-local. So an exchange
//! needs no reference to its connection.
use std::cell::Cell;

thread_local! {
    /// The scope of the connection that is being polled, or dropped, on this thread. Accessed
    /// through `LocalKey::with`; `get` and `replace` compile to an extra check.
    static CURRENT: Cell<PollScope> = const { Cell::new(PollScope { exchanges: 0, open: 0, announces_close: false, needs_attention: false }) };
}

/// The exchanges of a connection. Those with tasks of their own are only counted when they begin.
///
/// It is swapped in and out at each poll, so it fits into a register.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(8))]
pub(crate) struct PollScope {
    /// The number of exchanges so far.
    pub(crate) exchanges: u32,
    /// The number of open exchanges: one, if any.
    open: u8,
    /// The response should say `Connection: close`.
    announces_close: bool,
    /// A request has left something to handle at the end of the poll.
    needs_attention: bool,
}

impl PollScope {
    /// Whether an exchange is open.
    pub(crate) fn is_open(self) -> bool {
        self.open > 0
    }

    /// Polls a connection, or drops it, with this scope as the current one. Inlined, because every
    /// request runs through it.
    #[inline(always)]
    pub(crate) fn enter<T>(&mut self, announces_close: bool, f: impl FnOnce() -> T) -> T {
        /// Restores the previous scope, also after a panic.
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

    /// Swaps this scope with the current one.
    fn swap(&mut self) {
        CURRENT.with(|current| *self = current.replace(*self));
    }

    /// Whether there is something to handle: see [`set_needs_attention`].
    pub(crate) fn needs_attention(self) -> bool {
        self.needs_attention
    }

    pub(crate) fn set_needs_attention(&mut self, needs_attention: bool) {
        self.needs_attention = needs_attention;
    }
}

/// Whether the current scope has an open exchange.
pub(crate) fn is_open() -> bool {
    CURRENT.with(|scope| scope.get().is_open())
}

/// The connection of the current scope has something to handle at the end of the poll.
pub(crate) fn set_needs_attention() {
    update(|scope| scope.needs_attention = true);
}

/// Changes the current scope.
fn update(f: impl FnOnce(&mut PollScope)) {
    CURRENT.with(|current| {
        let mut scope = current.get();
        f(&mut scope);
        current.set(scope);
    });
}

/// Counts an exchange that begins in a task of its own.
pub(crate) fn count_exchange() {
    update(|scope| scope.exchanges = scope.exchanges.wrapping_add(1));
}

/// A request until its response has been sent. It is dropped in its connection's scope.
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

    /// Whether the response should say `Connection: close`.
    #[expect(
        clippy::unused_self,
        reason = "a scope proves that a connection is being polled"
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
    fn connection_dropped_within_another_scope_counts_for_itself() {
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
    fn panic_restores_the_previous_scope() {
        let mut scope = PollScope::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            scope.enter(true, || panic!("in the middle"));
        }));
        assert!(panicked.is_err() && !CURRENT.get().announces_close);
    }
}
