//! The tasks of a worker: in turn, apart from each other, and at home.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{DRIVERS, GRACE, connect, get, hello, one, until};
use anyport_core::{Accepted, Handle, serve_raw_with, serve_with};
use anyport_monoio::MonoioConnection;
use std::{cell::Cell, future::pending, rc::Rc, sync::mpsc, thread};

async fn ends(handle: &Handle) {
    handle.shutdown(GRACE).await.unwrap();
}

/// What was spawned is dropped where it lived, when its worker ends.
pub(crate) async fn what_is_left_when_a_worker_ends_is_dropped_on_its_thread() {
    struct Witness(mpsc::Sender<Option<String>>);
    impl Drop for Witness {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
        }
    }
    for driver in DRIVERS {
        let (tell, told) = mpsc::channel();
        let handler = move |_: Accepted<MonoioConnection>| {
            let witness = (Witness(tell.clone()), Rc::new(Cell::new(0)));
            async move {
                let _here = witness;
                pending().await
            }
        };
        let handle = serve_raw_with(one(driver), handler).start().unwrap();
        let _client = connect(&handle);
        until("it's accepted", || handle.connections() == 1);
        handle.abort().await.unwrap();
        let name = told.recv_timeout(crate::scene::PATIENCE).unwrap();
        assert_eq!(name.as_deref(), Some("anyport-0"), "{driver}");
    }
}

pub(crate) async fn a_server_of_both_drivers_and_more_drains_as_one() {
    let server = serve_with(one(DRIVERS[0]), hello()).and(one(DRIVERS[1]), hello());
    let handle = server.start().unwrap();
    assert_eq!(handle.endpoints().len(), 2);
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    ends(&handle).await;
}
