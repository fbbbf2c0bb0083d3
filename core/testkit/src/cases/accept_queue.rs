//! Clients that are still queued when a server drains. They are accepted within the limit, and a
//! queue without end does not prolong the drain.
use crate::{
    app::{HELLO, script::Script},
    harness::{
        any_subject::AnySubject,
        case::cases,
        faulty_listener::{ListenerFault, Mode},
    },
};
use anyport_core::Limits;
use std::time::{Duration, Instant};

/// A duration that no case reaches.
const AMPLE: Duration = Duration::from_secs(20);

cases![
    clients_queued_behind_the_limit_are_answered,
    endless_accept_queue_does_not_prolong_a_drain,
];

async fn clients_queued_behind_the_limit_are_answered(subject: AnySubject) {
    let server =
        subject.serve_configured(|server| server.limits(Limits::default().with_connections(1)));
    let mut first = server.client().await;
    assert_eq!(first.get("/").await.body, HELLO);
    let mut queued = Vec::new();
    for _ in 0..3 {
        let mut client = server.pending_client().await;
        queued.push(tokio::spawn(async move { client.get("/").await }));
    }
    let ended = server.handle.shutdown(AMPLE);
    first.assert_closed().await;
    for response in queued {
        let response = response.await.unwrap();
        assert_eq!(response.body, HELLO);
        assert!(response.closes(), "{response:?}");
    }
    let report = ended.await.unwrap();
    assert_eq!((report.completed, report.aborted), (4, 0));
}

async fn endless_accept_queue_does_not_prolong_a_drain(subject: AnySubject) {
    let mode = Mode::new(ListenerFault::EndlessQueue);
    let server = subject.faulty(Script::Echo, &mode);
    let begin = Instant::now();
    let report = server.handle.shutdown(AMPLE).await.unwrap();
    assert!(begin.elapsed() < AMPLE, "{:?}", begin.elapsed());
    assert_eq!(report.aborted, 0, "{report}");
}
