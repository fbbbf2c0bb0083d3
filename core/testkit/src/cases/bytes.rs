//! The byte stream without HTTP: no byte is lost, and each end detects the end of the other.
use crate::{
    app::script::{BURST, Script, pattern},
    client::{Client, stop_writing},
    harness::{case::cases, site::Site},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

cases![
    a_mebibyte_comes_back_unchanged also abroad,
    ping_pong also abroad,
    a_client_that_stopped_writing_is_answered needs HalfClose also abroad,
    shutdown_flushes_what_was_written also abroad,
    what_nobody_flushes_arrives_as_soon_as_they_read also abroad,
    the_end_stays_the_end_after_the_peer_left also abroad,
    a_write_fails_after_the_peer_left also abroad,
    a_vectored_write_keeps_its_order needs VectoredWrite also abroad,
    facts_name_the_connection also abroad,
    an_idle_connection_takes_up_again_after_others also abroad,
];

async fn a_mebibyte_comes_back_unchanged(site: Site) {
    const N: usize = 1024 * 1024;
    let server = site.raw(Script::Echo);
    let (mut read, mut write) = split(server.connect().await);
    let sent = pattern(N);
    let writing = async {
        write.write_all(&sent).await.unwrap();
        write.flush().await.unwrap();
    };
    let mut got = vec![0; N];
    let ((), n) = tokio::join!(writing, read.read_exact(&mut got));
    n.unwrap();
    assert!(got == sent, "all bytes, in order");
}

async fn ping_pong(site: Site) {
    let server = site.raw(Script::Echo);
    let mut client = Client::new(server.connect().await);
    for i in 0..200_u32 {
        client.try_send(i.to_be_bytes()).await.unwrap();
        assert_eq!(client.exactly(4).await.unwrap()[..], i.to_be_bytes());
    }
}

async fn a_client_that_stopped_writing_is_answered(site: Site) {
    let server = site.raw(Script::Answer);
    let mut io = server.connect().await;
    io.write_all(&pattern(100_000)).await.unwrap();
    stop_writing(&mut io).await;
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "got 100000 bytes");
}

async fn shutdown_flushes_what_was_written(site: Site) {
    let server = site.raw(Script::Burst);
    let mut got = Vec::new();
    server.connect().await.read_to_end(&mut got).await.unwrap();
    assert!(
        got == pattern(BURST),
        "{} of {BURST} bytes, or not the right ones",
        got.len()
    );
}

/// As with sockets: some libraries don't flush.
async fn what_nobody_flushes_arrives_as_soon_as_they_read(site: Site) {
    let server = site.raw(Script::Unflushed);
    let mut client = Client::new(server.connect().await);
    let got = client.exactly(BURST).await.unwrap();
    assert!(got[..] == pattern(BURST), "all bytes, in order");
}

async fn the_end_stays_the_end_after_the_peer_left(site: Site) {
    let server = site.raw(Script::UntilEnd);
    let mut io = server.connect().await;
    server.settles(1).await;
    io.write_all(b"the last words").await.unwrap();
    stop_writing(&mut io).await;
    drop(io);
    server.settles(0).await;
}

async fn a_write_fails_after_the_peer_left(site: Site) {
    let server = site.raw(Script::Firehose);
    let mut io = server.connect().await;
    io.read_exact(&mut [0; 1000]).await.unwrap();
    assert_eq!(server.handle.connections(), 1);
    drop(io);
    server.settles(0).await;
}

async fn a_vectored_write_keeps_its_order(site: Site) {
    let server = site.raw(Script::Vectored);
    let mut got = String::new();
    server
        .connect()
        .await
        .read_to_string(&mut got)
        .await
        .unwrap();
    assert_eq!(got, "one two three");
}

async fn facts_name_the_connection(site: Site) {
    let server = site.raw(Script::Facts);
    for id in 1..=3 {
        let mut got = String::new();
        server
            .connect()
            .await
            .read_to_string(&mut got)
            .await
            .unwrap();
        let facts: Vec<_> = got.split(' ').collect();
        assert_eq!(facts[0], id.to_string(), "numbered from 1: {got}");
        assert!(facts[1].parse::<usize>().is_ok(), "a worker: {got}");
        assert_eq!(
            facts[2],
            server.endpoint().to_string(),
            "where it was accepted"
        );
    }
}

async fn an_idle_connection_takes_up_again_after_others(site: Site) {
    let server = site.raw(Script::Echo);
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
