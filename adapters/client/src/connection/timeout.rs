//! The timeouts of a connection's requests. They share the connection's timer, so that a request
//! costs no timer operation.
//!
//! The timer is armed for the earliest deadline. A later deadline changes nothing: the timer fires
//! at the old time, and the connection's task arms it again. An earlier one wakes the task, which
//! arms the timer at once.
use super::ConnState;
use crate::{deadline::earlier, pool::lock};
use slab::Slab;
use std::{
    ops::Deref,
    sync::Mutex,
    task::{Context, Poll, Waker},
    time::Instant,
};

/// The deadlines of the requests on a connection.
#[derive(Debug, Default)]
pub(super) struct Deadlines(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entries: Slab<Entry>,
    /// When the timer fires.
    armed: Option<Instant>,
}

#[derive(Debug, Default)]
struct Entry {
    end: Option<Instant>,
    /// `None`: the deadline has passed.
    waker: Option<Waker>,
}

impl Deadlines {
    /// Wakes the requests whose deadlines have passed. Returns when the timer has to fire: at the
    /// next deadline, or at `other` if that is earlier.
    pub(super) fn expire(&self, now: Instant, other: Option<Instant>) -> Option<Instant> {
        let (mut due, mut next) = (Vec::new(), other);
        let mut state = lock(&self.0);
        for (_, entry) in &mut state.entries {
            match entry.end {
                Some(end) if end <= now => due.extend(entry.waker.take()),
                end => next = earlier(next, end),
            }
        }
        state.armed = next;
        drop(state);
        due.into_iter().for_each(Waker::wake);
        next
    }
}

/// A timeout of a request. Dropping it removes its deadline.
#[derive(Debug)]
pub(crate) struct Timeout<C: Deref<Target = ConnState>> {
    conn_state: C,
    key: Option<usize>,
}

impl<C: Deref<Target = ConnState>> Timeout<C> {
    pub(crate) fn new(conn_state: C) -> Self {
        Self {
            conn_state,
            key: None,
        }
    }

    /// Ready when `end` has passed. Otherwise the task will be woken then. `None` is never.
    pub(crate) fn poll(&mut self, end: Option<Instant>, cx: &Context<'_>) -> Poll<()> {
        let Some(at) = end else { return Poll::Pending };
        let mut state = lock(&self.conn_state.deadlines.0);
        let key = match self.key {
            Some(key) => key,
            None => *self.key.insert(state.entries.insert(Entry::default())),
        };
        let entry = &mut state.entries[key];
        if entry.end == end {
            match &entry.waker {
                None => return Poll::Ready(()),
                Some(waker) if waker.will_wake(cx.waker()) => return Poll::Pending,
                Some(_) => {}
            }
        }
        entry.end = end;
        let old = entry.waker.replace(cx.waker().clone());
        let is_earlier = state.armed.is_none_or(|armed| at < armed);
        if is_earlier {
            state.armed = end;
        }
        drop(state);
        // The drop of a waker may run any code, so it happens outside of the lock.
        drop(old);
        if is_earlier {
            self.conn_state.make_due();
        }
        Poll::Pending
    }
}

impl<C: Deref<Target = ConnState>> Drop for Timeout<C> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let entry = lock(&self.conn_state.deadlines.0).entries.remove(key);
            drop(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{origin::OriginRef, pool::OriginFacts};
    use http::Uri;
    use std::{sync::Arc, time::Duration};

    #[test]
    fn only_an_earlier_deadline_wakes_the_task_of_the_connection() {
        let uri = Uri::from_static("http://a.test/");
        let origin = OriginRef::new(&uri, None).unwrap().to_origin();
        let state = ConnState::new(Arc::new(OriginFacts { origin, host: None }));
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let cx = &Context::from_waker(Waker::noop());

        let mut first = Timeout::new(&state);
        assert!(first.poll(None, cx).is_pending());
        assert!(!state.take_due(), "no deadline");
        assert!(first.poll(at(10), cx).is_pending());
        assert!(state.take_due(), "no timer");
        assert_eq!(state.deadlines.expire(start, at(60)), at(10));
        drop(first);

        let mut second = Timeout::new(&state);
        assert!(second.poll(at(20), cx).is_pending());
        assert!(!state.take_due(), "the timer is early enough");
        let mut third = Timeout::new(&state);
        assert!(third.poll(at(5), cx).is_pending());
        assert!(state.take_due(), "the timer is too late");

        assert_eq!(
            state
                .deadlines
                .expire(start + Duration::from_secs(10), None),
            at(20)
        );
        assert!(third.poll(at(5), cx).is_ready());
        assert!(second.poll(at(20), cx).is_pending());
        assert!(third.poll(at(30), cx).is_pending(), "a new deadline");
        drop((second, third));
        assert!(lock(&state.deadlines.0).entries.is_empty());
    }
}
