//! Signals between a test and its app.
use super::{DELIBERATE, cross_thread::ThreadOutcome, script::HandlerThread};
use crate::harness::watch::{self, waiting};
use anyport_core::Body;
use hyper::upgrade::Upgraded;
use std::{
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Signals between a test and its app.
#[derive(Debug)]
pub struct State {
    fault: Mutex<Option<AppFault>>,
    /// One permit for each request that has begun to wait.
    arrived: Semaphore,
    /// One permit for each request that may respond.
    pub(crate) released: Semaphore,
    /// One permit for each waiting request that was dropped, and for each body that `/accepted`
    /// finished with.
    pub(crate) dropped: Semaphore,
    /// One permit for each byte that `/accepted` has read.
    pub(crate) uploaded: Semaphore,
    /// The bodies that `/keep` holds.
    pub(crate) kept: Mutex<Vec<Body>>,
    /// The thread that took an upgraded connection.
    other_thread: Mutex<Option<JoinHandle<ThreadOutcome>>>,
    /// The thread on which upgraded connections are served.
    pub(crate) thread: HandlerThread,
    /// The connection that `/thread/keep` holds.
    pub(crate) kept_upgraded: Mutex<Option<Upgraded>>,
}

/// A fault that the service shows once, at the next opportunity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppFault {
    PanicInClone,
    PanicInPollReady,
    NotReady,
}

impl Default for State {
    fn default() -> Self {
        Self {
            fault: Mutex::default(),
            arrived: Semaphore::new(0),
            released: Semaphore::new(0),
            dropped: Semaphore::new(0),
            uploaded: Semaphore::new(0),
            kept: Mutex::default(),
            other_thread: Mutex::default(),
            thread: HandlerThread::default(),
            kept_upgraded: Mutex::default(),
        }
    }
}

impl State {
    /// Serves upgraded connections on this thread.
    pub(crate) fn on(thread: HandlerThread) -> Self {
        Self {
            thread,
            ..Self::default()
        }
    }

    /// Makes the service show this fault once.
    pub(crate) fn inject(&self, fault: AppFault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    pub(crate) fn take_fault(&self, fault: AppFault) -> bool {
        let mut armed = self.fault.lock().unwrap();
        if *armed == Some(fault) {
            *armed = None;
            return true;
        }
        false
    }

    /// Signals an event for which the test waits.
    pub(crate) fn signal_arrival(&self) {
        self.arrived.add_permits(1);
    }

    /// Waits until a request waits in `/slow`, or until another thread has taken an upgraded
    /// connection.
    pub(crate) async fn arrived(&self) {
        let _wait = waiting("the app to get the request");
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Lets one request in `/slow` respond.
    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }

    /// Waits until a waiting request was dropped, or until `/accepted` finished with a body.
    pub(crate) async fn dropped(&self) {
        let _wait = waiting("the app's future or body to be dropped");
        self.dropped.acquire().await.unwrap().forget();
    }

    /// Waits until `/accepted` has read this many more bytes.
    pub(crate) async fn uploaded(&self, bytes: u32) {
        let _wait = waiting("the app to read what the client sends");
        self.uploaded.acquire_many(bytes).await.unwrap().forget();
    }

    /// Continues with an upgraded connection on another thread.
    pub(crate) fn spawn_thread(&self, f: impl FnOnce() -> ThreadOutcome + Send + 'static) {
        // The lock is taken first, because the thread may signal its arrival at once.
        let mut other_thread = self.other_thread.lock().unwrap();
        *other_thread = Some(thread::spawn(watch::inherit(f)));
    }

    /// The result of the other thread.
    pub(crate) async fn thread_outcome(&self) -> ThreadOutcome {
        let handle = self
            .other_thread
            .lock()
            .unwrap()
            .take()
            .expect("a thread has taken the connection");
        let joined = spawn_blocking(|| handle.join()).await.unwrap();
        joined.expect("the thread must not panic")
    }

    /// Waits as a request in `/slow` does.
    pub(crate) async fn wait_for_release(self: Arc<Self>) {
        let _pending = self.pending_request(false);
        self.released.acquire().await.unwrap().forget();
    }

    pub(crate) fn pending_request(self: &Arc<Self>, panics: bool) -> PendingRequest {
        self.arrived.add_permits(1);
        PendingRequest {
            state: Arc::clone(self),
            panics,
        }
    }
}

/// Counts a request that waits; its drop is signalled to the test.
pub(crate) struct PendingRequest {
    state: Arc<State>,
    panics: bool,
}

impl Drop for PendingRequest {
    fn drop(&mut self) {
        self.state.dropped.add_permits(1);
        if self.panics && !thread::panicking() {
            panic!("{DELIBERATE} in drop");
        }
    }
}
