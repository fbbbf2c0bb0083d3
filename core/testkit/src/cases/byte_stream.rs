//! The byte stream without HTTP: no byte is lost, and each end detects the other's end.
use crate::{
    app::script::{Script, WRITTEN, pattern},
    client::{Client, shut_down_write},
    harness::{any_subject::AnySubject, case::cases},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

cases![
    mebibyte_is_echoed_unchanged also cross_thread,
    small_messages_are_echoed_one_by_one also cross_thread,
    half_closed_client_still_receives needs HalfClose under HALF_CLOSE also cross_thread,
    shutdown_flushes_buffered_writes under SHUTDOWN also cross_thread,
    unflushed_writes_arrive_once_the_handler_reads under FLUSH also cross_thread,
    read_after_eof_returns_eof_again under HALF_CLOSE also cross_thread,
    write_fails_after_peer_disconnects under IO_ERRORS also cross_thread,
    vectored_write_keeps_slice_order needs VectoredWrite under VECTORED also cross_thread,
    conn_info_has_id_worker_and_local_endpoint under INFO also cross_thread,
    idle_connection_still_works_after_other_connections under READ_WAKERS also cross_thread,
];

async fn mebibyte_is_echoed_unchanged(subject: AnySubject) {
    const N: usize = 1024 * 1024;
    let server = subject.raw(Script::Echo);
    let (mut read, mut write) = split(server.connect().await);
    let sent = pattern(N);
    let writing = async {
        write.write_all(&sent).await.unwrap();
        write.flush().await.unwrap();
    };
    let mut got = vec![0; N];
    let ((), n) = tokio::join!(writing, read.read_exact(&mut got));
    n.unwrap();
    assert!(
        got == sent,
        "expected exactly the bytes that were sent, in order"
    );
}

async fn small_messages_are_echoed_one_by_one(subject: AnySubject) {
    let server = subject.raw(Script::Echo);
    let mut client = Client::new(server.connect().await);
    for i in 0..200_u32 {
        client.try_send(i.to_be_bytes()).await.unwrap();
        assert_eq!(client.exactly(4).await.unwrap()[..], i.to_be_bytes());
    }
}

async fn half_closed_client_still_receives(subject: AnySubject) {
    let server = subject.raw(Script::CountBytes);
    let mut io = server.connect().await;
    io.write_all(&pattern(100_000)).await.unwrap();
    shut_down_write(&mut io).await;
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "got 100000 bytes");
}

async fn shutdown_flushes_buffered_writes(subject: AnySubject) {
    let server = subject.raw(Script::WriteAndShutDown);
    let mut got = Vec::new();
    server.connect().await.read_to_end(&mut got).await.unwrap();
    assert!(
        got == pattern(WRITTEN),
        "expected the {WRITTEN} bytes that were written, got {} bytes",
        got.len()
    );
}

/// Sockets send without a flush, and some libraries rely on that.
async fn unflushed_writes_arrive_once_the_handler_reads(subject: AnySubject) {
    let server = subject.raw(Script::WriteWithoutFlush);
    let mut client = Client::new(server.connect().await);
    let got = client.exactly(WRITTEN).await.unwrap();
    assert!(
        got[..] == pattern(WRITTEN),
        "expected exactly the bytes that were sent, in order"
    );
}

async fn read_after_eof_returns_eof_again(subject: AnySubject) {
    let server = subject.raw(Script::ReadEofTwice);
    let mut io = server.connect().await;
    server.wait_for_connections(1).await;
    io.write_all(b"the last words").await.unwrap();
    shut_down_write(&mut io).await;
    drop(io);
    server.wait_for_connections(0).await;
}

async fn write_fails_after_peer_disconnects(subject: AnySubject) {
    let server = subject.raw(Script::WriteUntilError);
    let mut io = server.connect().await;
    io.read_exact(&mut [0; 1000]).await.unwrap();
    server.wait_for_connections(1).await;
    drop(io);
    server.wait_for_connections(0).await;
}

async fn vectored_write_keeps_slice_order(subject: AnySubject) {
    let server = subject.raw(Script::VectoredWrite);
    let mut got = String::new();
    server
        .connect()
        .await
        .read_to_string(&mut got)
        .await
        .unwrap();
    assert_eq!(got, "one two three");
}

async fn conn_info_has_id_worker_and_local_endpoint(subject: AnySubject) {
    let server = subject.raw(Script::ReportInfo);
    for id in 1..=3 {
        let mut got = String::new();
        server
            .connect()
            .await
            .read_to_string(&mut got)
            .await
            .unwrap();
        let facts: Vec<_> = got.split(' ').collect();
        assert_eq!(
            facts[0],
            id.to_string(),
            "ids of connections start at 1: {got}"
        );
        assert!(
            facts[1].parse::<usize>().is_ok(),
            "expected the index of a worker: {got}"
        );
        assert_eq!(
            facts[2],
            server.endpoint().to_string(),
            "the local endpoint of the connection"
        );
    }
}

async fn idle_connection_still_works_after_other_connections(subject: AnySubject) {
    let server = subject.raw(Script::Echo);
    let mut first = Client::new(server.connect().await);
    first.try_send("a").await.unwrap();
    assert_eq!(first.exactly(1).await.unwrap(), "a");
    for _ in 0..20 {
        let mut other = Client::new(server.connect().await);
        other.try_send("b").await.unwrap();
        assert_eq!(other.exactly(1).await.unwrap(), "b");
    }
    first.try_send("c").await.unwrap();
    assert_eq!(first.exactly(1).await.unwrap(), "c");
}
