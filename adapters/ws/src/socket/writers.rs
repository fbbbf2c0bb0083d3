//! Who waits for something to be written. The connection has one waker for that, but two tasks may
//! wait: the one that sends, and the one that receives and so has pings to answer.
use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Receiver,
    Sender,
}

/// Who waits for something to be written.
#[derive(Debug, Default)]
pub(super) struct Writers(Option<Box<[Option<Waker>; 2]>>);

/// Two tasks at once.
struct Both(Waker, Waker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
        self.1.wake_by_ref();
    }
}

impl Writers {
    /// Whom the connection is to wake for a write. `None`: whoever polls it.
    pub(super) fn waker(&self, role: Role, cx: &Context<'_>) -> Option<Waker> {
        let other = self.0.as_ref()?[1 - role as usize].as_ref()?;
        match other.will_wake(cx.waker()) {
            true => None,
            false => Some(Arc::new(Both(cx.waker().clone(), other.clone())).into()),
        }
    }

    /// This one waits.
    pub(super) fn wait(&mut self, role: Role, cx: &Context<'_>) {
        let known = &mut self.0.get_or_insert_default()[role as usize];
        if !known
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *known = Some(cx.waker().clone());
        }
    }

    /// All is written, or there's something else to wait for.
    pub(super) fn wake_all(&mut self) {
        for waker in self.0.take().into_iter().flat_map(|both| *both).flatten() {
            waker.wake();
        }
    }

    /// This one found that all is written: so the other one needn't wait either.
    pub(super) fn done(&mut self, role: Role) {
        if let Some(both) = &mut self.0 {
            both[role as usize] = None;
            self.wake_all();
        }
    }
}
