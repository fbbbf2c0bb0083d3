//! The state that a test and its app share.
use super::{DELIBERATE, cross_thread::Abroad, script::Place};
use anyport_core::Body;
use hyper::upgrade::Upgraded;
use std::{
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// What a test and its app tell each other.
#[derive(Debug)]
pub struct State {
    fault: Mutex<Option<Fault>>,
    /// A permit for each request that waits, once it does.
    arrived: Semaphore,
    /// A permit for each request that may be answered.
    pub(crate) released: Semaphore,
    /// A permit for each waiting request that was dropped, and for each body that `/accepted` is
    /// done with.
    pub(crate) dropped: Semaphore,
    /// A permit for each byte that `/accepted` has read.
    pub(crate) uploaded: Semaphore,
    /// What `/keep` keeps.
    pub(crate) kept: Mutex<Vec<Body>>,
    /// The thread that an upgraded connection was taken to.
    abroad: Mutex<Option<JoinHandle<Abroad>>>,
    /// Where upgraded connections are served.
    pub(crate) place: Place,
    /// What `/kept-abroad` keeps.
    pub(crate) kept_abroad: Mutex<Option<Upgraded>>,
}

/// What goes wrong in the service at the next opportunity, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
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
            abroad: Mutex::default(),
            place: Place::default(),
            kept_abroad: Mutex::default(),
        }
    }
}

impl State {
    /// Where upgraded connections are served.
    pub(crate) fn at(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// Lets something go wrong.
    pub(crate) fn arm(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let mut armed = self.fault.lock().unwrap();
        if *armed == Some(fault) {
            *armed = None;
            return true;
        }
        false
    }

    /// Somebody waits for whom a test waits.
    pub(crate) fn arrives(&self) {
        self.arrived.add_permits(1);
    }

    /// Ready when a request waits in `/slow`, or an upgraded connection has been taken to another
    /// thread.
    pub(crate) async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Lets one request in `/slow` be answered.
    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }

    /// Ready when a waiting request was dropped, or `/accepted` is done with a body.
    pub(crate) async fn dropped(&self) {
        self.dropped.acquire().await.unwrap().forget();
    }

    /// Ready when `/accepted` has read so many bytes more.
    pub(crate) async fn uploaded(&self, bytes: u32) {
        self.uploaded.acquire_many(bytes).await.unwrap().forget();
    }

    /// Goes on with an upgraded connection on another thread.
    pub(crate) fn go_abroad(&self, f: impl FnOnce() -> Abroad + Send + 'static) {
        // Locked first: the thread may tell the test that it's there at once.
        let mut abroad = self.abroad.lock().unwrap();
        *abroad = Some(thread::spawn(f));
    }

    /// What came of an upgraded connection on another thread.
    pub(crate) async fn abroad(&self) -> Abroad {
        let thread = self
            .abroad
            .lock()
            .unwrap()
            .take()
            .expect("there's a thread");
        let joined = spawn_blocking(|| thread.join()).await.unwrap();
        joined.expect("nothing panics there")
    }

    /// Waits as a request in `/slow` does.
    pub(crate) async fn wait_for_release(self: Arc<Self>) {
        let _waits = self.waits(false);
        self.released.acquire().await.unwrap().forget();
    }

    pub(crate) fn waits(self: &Arc<Self>, panics: bool) -> Waits {
        self.arrived.add_permits(1);
        Waits {
            state: Arc::clone(self),
            panics,
        }
    }
}

/// A request that waits.
pub(crate) struct Waits {
    state: Arc<State>,
    panics: bool,
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.state.dropped.add_permits(1);
        if self.panics && !thread::panicking() {
            panic!("{DELIBERATE} in drop");
        }
    }
}
