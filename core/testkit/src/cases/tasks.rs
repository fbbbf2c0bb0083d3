//! The tasks of a worker: all of them run in turn, other threads can wake them, and a panic ends
//! only its own task.
use crate::{
    app::HELLO,
    client::{get, post},
    harness::{case::cases, site::Site},
};
use anyport_core::Timeouts;
use std::time::Duration;

cases![
    a_task_that_never_rests_starves_nobody,
    a_task_that_is_woken_from_another_thread_goes_on,
    a_panic_of_a_spawned_task_ends_that_task_alone,
    a_body_that_is_read_on_another_thread_has_its_deadline,
];

/// An app may wake itself without a pause; so does hyper's task, after a while of reading.
async fn a_task_that_never_rests_starves_nobody(site: Site) {
    let server = site.serve();
    let mut spinning = server.client().await;
    spinning.send(get("/spin")).await;
    server.state.arrived().await;
    for path in ["/", "/timer", "/"] {
        assert_eq!(server.ask(&get(path)).await.body, HELLO, "{path}");
    }
    // The task learns that its peer has left, too.
    drop(spinning);
    server.state.dropped().await;
    server.settles(0).await;
}

async fn a_task_that_is_woken_from_another_thread_goes_on(site: Site) {
    let server = site.serve();
    for _ in 0..20 {
        assert_eq!(server.ask(&get("/woken")).await.body, HELLO);
        server.state.arrived().await;
    }
}

async fn a_panic_of_a_spawned_task_ends_that_task_alone(site: Site) {
    let server = site.serve();
    for _ in 0..3 {
        assert_eq!(server.ask(&get("/panic-spawned")).await.status, 500);
        assert_eq!(server.ask(&get("/")).await.body, HELLO);
    }
}

async fn a_body_that_is_read_on_another_thread_has_its_deadline(site: Site) {
    let timeouts = Timeouts::default().with_body_gap(Duration::from_millis(50));
    let server = site.serve_as(|server| server.timeouts(timeouts));
    let mut client = server.client().await;
    client
        .send(format!("{}hello", post("/len-elsewhere", 5)))
        .await;
    assert_eq!(client.response().await.body, "5");
    let mut client = server.client().await;
    client
        .send(format!("{}hel", post("/len-elsewhere", 5)))
        .await;
    assert_eq!(client.response().await.status, 408);
}
