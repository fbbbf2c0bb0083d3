//! The tasks that wait for a write. The connection has one waker for writing, but two tasks may
//! wait: the one that sends, and the one that receives and answers pings.
use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

/// Which task writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Receiver,
    Sender,
}

/// The tasks that wait for a write.
#[derive(Debug, Default)]
pub(super) struct Writers(Option<Box<[Option<Waker>; 2]>>);

/// Wakes both tasks.
struct Both(Waker, Waker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
        self.1.wake_by_ref();
    }
}

impl Writers {
    /// The waker for a write. `None`: use the waker of the polling task.
    pub(super) fn waker(&self, role: Role, cx: &Context<'_>) -> Option<Waker> {
        let other = self.0.as_ref()?[1 - role as usize].as_ref()?;
        match other.will_wake(cx.waker()) {
            true => None,
            false => Some(Arc::new(Both(cx.waker().clone(), other.clone())).into()),
        }
    }

    /// Registers the task of this role.
    pub(super) fn wait(&mut self, role: Role, cx: &Context<'_>) {
        let known = &mut self.0.get_or_insert_default()[role as usize];
        if !known
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *known = Some(cx.waker().clone());
        }
    }

    /// Wakes both tasks: all is written, or the tasks have to wait for another event.
    pub(super) fn wake_all(&mut self) {
        for waker in self.0.take().into_iter().flat_map(|both| *both).flatten() {
            waker.wake();
        }
    }

    /// The task of this role found that all is written, so the other task need not wait.
    pub(super) fn done(&mut self, role: Role) {
        if let Some(both) = &mut self.0 {
            both[role as usize] = None;
            self.wake_all();
        }
    }
}
