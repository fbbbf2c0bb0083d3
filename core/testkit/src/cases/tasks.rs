//! The tasks of a worker: scheduling is fair, wake-ups from other threads arrive, and a panic ends
//! only its own task.
use crate::{
    app::HELLO,
    client::{get, post},
    harness::{any_subject::AnySubject, case::cases},
};
use anyport_core::Timeouts;
use std::time::Duration;

cases![
    self_waking_task_does_not_starve_others,
    task_woken_from_another_thread_continues,
    panic_in_spawned_task_ends_only_that_task,
    body_read_on_another_thread_times_out,
];

/// An app may wake itself on every poll. Hyper's task does so after reading for a while.
async fn self_waking_task_does_not_starve_others(subject: AnySubject) {
    let server = subject.serve();
    let mut spinning = server.client().await;
    spinning.send(get("/spin")).await;
    server.state.arrived().await;
    for path in ["/", "/timer", "/"] {
        assert_eq!(server.exchange(&get(path)).await.body, HELLO, "{path}");
    }
    // The task also detects that its peer has disconnected.
    drop(spinning);
    server.state.dropped().await;
    server.wait_for_connections(0).await;
}

async fn task_woken_from_another_thread_continues(subject: AnySubject) {
    let server = subject.serve();
    for _ in 0..20 {
        assert_eq!(server.exchange(&get("/woken")).await.body, HELLO);
        server.state.arrived().await;
    }
}

async fn panic_in_spawned_task_ends_only_that_task(subject: AnySubject) {
    let server = subject.serve();
    for _ in 0..3 {
        assert_eq!(server.exchange(&get("/panic-spawned")).await.status, 500);
        assert_eq!(server.exchange(&get("/")).await.body, HELLO);
    }
}

async fn body_read_on_another_thread_times_out(subject: AnySubject) {
    let timeouts = Timeouts::default().with_body_gap(Duration::from_millis(50));
    let server = subject.serve_configured(|server| server.timeouts(timeouts));
    let mut client = server.client().await;
    client
        .send(format!("{}hello", post("/len-on-thread", 5)))
        .await;
    assert_eq!(client.response().await.body, "5");
    let mut client = server.client().await;
    client
        .send(format!("{}hel", post("/len-on-thread", 5)))
        .await;
    assert_eq!(client.response().await.status, 408);
}
