//! A worker's tasks: they end on their own thread, and several transports drain as one server.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{DRIVERS, GRACE, connect, get, hello, one_worker, wait_until};
use anyport_core::{Handle, protocol::Accepted, serve_raw_with, serve_with};
use anyport_monoio::MonoioConnection;
use std::{cell::Cell, future::pending, rc::Rc, sync::mpsc, thread};

async fn shut_down(handle: &Handle) {
    handle.shutdown(GRACE).await.unwrap();
}

pub(crate) async fn pending_tasks_are_dropped_on_their_worker_thread() {
    struct DropReporter(mpsc::Sender<Option<String>>);
    impl Drop for DropReporter {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
        }
    }
    for driver in DRIVERS {
        let (tx, rx) = mpsc::channel();
        let handler = move |_: Accepted<MonoioConnection>| {
            let reporter = (DropReporter(tx.clone()), Rc::new(Cell::new(0)));
            async move {
                let _reporter = reporter;
                pending().await
            }
        };
        let handle = serve_raw_with(one_worker(driver), handler).start().unwrap();
        let _client = connect(&handle);
        wait_until("the connection is accepted", || handle.connections() == 1);
        handle.abort().await.unwrap();
        let name = rx.recv_timeout(crate::fixture::TIMEOUT).unwrap();
        assert_eq!(name.as_deref(), Some("anyport-0"), "{driver}");
    }
}

pub(crate) async fn server_with_both_drivers_drains_as_one() {
    let server = serve_with(one_worker(DRIVERS[0]), hello()).and(one_worker(DRIVERS[1]), hello());
    let handle = server.start().unwrap();
    assert_eq!(handle.endpoints().len(), 2);
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    shut_down(&handle).await;
}
