//! Fast uploads.
use crate::{
    app::script::pattern,
    client::post,
    harness::{case::cases, site::Site},
};

cases![
    a_fast_upload_is_read_in_large_pieces,
    a_fast_upload_is_read_in_large_pieces_while_its_response_is_sent,
];

/// As much room as hyper gives a read of a body, at least.
const ROOM: usize = 8 * 1024;

const LENGTH: usize = 4 * 1024 * 1024;

/// The first reads of a connection may be small: the version is told from them.
const FIRST_READS: usize = 2;

async fn a_fast_upload_is_read_in_large_pieces(site: Site) {
    let (server, notes) = site.serve_watched(|server| server);
    let (mut write, mut read) = server.client().await.split();
    let body = pattern(LENGTH);
    let sends = async {
        write.send(post("/len", body.len())).await;
        write.send(&body).await;
    };
    let ((), response) = tokio::join!(sends, read.response());
    assert_eq!(response.body, LENGTH.to_string());
    let small = notes.reads_with_less_than(ROOM);
    assert!(
        small <= FIRST_READS,
        "{small} reads had less than {ROOM} bytes of room"
    );
}

async fn a_fast_upload_is_read_in_large_pieces_while_its_response_is_sent(site: Site) {
    let (server, notes) = site.serve_watched(|server| server);
    let (mut write, mut read) = server.client().await.split();
    let body = pattern(LENGTH);
    let sends = async {
        write.send(post("/echo", body.len())).await;
        write.send(&body).await;
    };
    let ((), response) = tokio::join!(sends, read.response());
    assert!(response.body == body, "all bytes, in order");
    let small = notes.reads_with_less_than(ROOM);
    assert!(
        small <= FIRST_READS,
        "{small} reads had less than {ROOM} bytes of room"
    );
}
