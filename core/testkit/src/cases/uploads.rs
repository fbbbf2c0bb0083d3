//! Uploads by fast clients.
use crate::{
    app::script::pattern,
    client::post,
    harness::{any_subject::AnySubject, case::cases},
};

cases![
    fast_upload_is_read_into_large_buffers,
    fast_upload_is_read_into_large_buffers_while_responding,
];

/// The smallest buffer that hyper uses to read a body.
const CAPACITY: usize = 8 * 1024;

const LENGTH: usize = 4 * 1024 * 1024;

/// The first reads of a connection may be small: they detect the version of HTTP.
const FIRST_READS: usize = 2;

async fn fast_upload_is_read_into_large_buffers(subject: AnySubject) {
    let (server, counters) = subject.serve_instrumented(|server| server);
    let (mut write, mut read) = server.client().await.split();
    let body = pattern(LENGTH);
    let sends = async {
        write.send(post("/len", body.len())).await;
        write.send(&body).await;
    };
    let ((), response) = tokio::join!(sends, read.response());
    assert_eq!(response.body, LENGTH.to_string());
    let small = counters.reads_with_less_capacity_than(CAPACITY);
    assert!(
        small <= FIRST_READS,
        "expected at most {FIRST_READS} reads with a buffer below {CAPACITY} bytes, got {small}"
    );
}

async fn fast_upload_is_read_into_large_buffers_while_responding(subject: AnySubject) {
    let (server, counters) = subject.serve_instrumented(|server| server);
    let (mut write, mut read) = server.client().await.split();
    let body = pattern(LENGTH);
    let sends = async {
        write.send(post("/echo", body.len())).await;
        write.send(&body).await;
    };
    let ((), response) = tokio::join!(sends, read.response());
    assert!(
        response.body == body,
        "expected exactly the bytes that were sent, in order"
    );
    let small = counters.reads_with_less_capacity_than(CAPACITY);
    assert!(
        small <= FIRST_READS,
        "expected at most {FIRST_READS} reads with a buffer below {CAPACITY} bytes, got {small}"
    );
}
