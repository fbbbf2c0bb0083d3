//! Clients that are still queued when a server drains: they are accepted if possible, and the wait
//! for them is bounded.
use crate::{
    app::{HELLO, script::Script},
    harness::{
        case::cases,
        site::Site,
        wrap::{Mood, Trouble},
    },
};
use anyport_core::Limits;
use std::time::{Duration, Instant};

/// Longer than anything here takes.
const AMPLE: Duration = Duration::from_secs(20);

cases![
    clients_queued_behind_the_limit_are_answered,
    a_listener_that_never_runs_dry_does_not_hold_up_a_drain,
];

async fn clients_queued_behind_the_limit_are_answered(site: Site) {
    let server = site.serve_as(|server| server.limits(Limits::default().with_connections(1)));
    let mut first = server.client().await;
    assert_eq!(first.get("/").await.body, HELLO);
    let mut queued = Vec::new();
    for _ in 0..3 {
        let mut client = server.knocking().await;
        queued.push(tokio::spawn(async move { client.get("/").await }));
    }
    let ended = server.handle.shutdown(AMPLE);
    first.closed().await;
    for response in queued {
        let response = response.await.unwrap();
        assert_eq!(response.body, HELLO);
        assert!(response.closes(), "{response:?}");
    }
    let report = ended.await.unwrap();
    assert_eq!((report.completed, report.aborted), (4, 0));
}

async fn a_listener_that_never_runs_dry_does_not_hold_up_a_drain(site: Site) {
    let mood = Mood::new(Trouble::Endless);
    let server = site.moody(Script::Echo, &mood);
    let begin = Instant::now();
    let report = server.handle.shutdown(AMPLE).await.unwrap();
    assert!(begin.elapsed() < AMPLE, "{:?}", begin.elapsed());
    assert_eq!(report.aborted, 0, "{report}");
}
