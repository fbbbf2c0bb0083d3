//! Connections: used again, capped, queued for, and closed.
use crate::{
    kit::{Kit, LocalHosts, get, text},
    server::{OK, Script, Served, answer_all, read_head},
};
use anyport_client::{ErrorKind, PoolKey};
use anyport_core::Body;
use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt;
use std::{
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::{io::AsyncWriteExt, sync::Barrier};
use tower::Service;

pub(crate) async fn sequential_requests_use_one_connection<K: Kit>(kit: K) {
    let (served, client) = (Served::http(), kit.client());
    for _ in 0..5 {
        assert_eq!(text(&client, get(&served.uri("/"))).await.unwrap(), "");
        kit.wait_until_free(&client).await;
    }
    let counts = client.counts();
    assert_eq!((counts.opened, counts.reused), (1, 4));
    assert_eq!((counts.idle, counts.active), (1, 0));
}

pub(crate) async fn bodies_stream_both_ways<K: Kit>(kit: K) {
    let (served, client) = (Served::http(), kit.client());
    let bytes: Vec<u8> = (0..1 << 20_u32).map(|n| (n % 251) as u8).collect();
    for _ in 0..3 {
        let request = Request::post(served.uri("/"));
        let request = request.body(Body::from(bytes.clone())).unwrap();
        let response = client.send(request).await.unwrap();
        let received = response.into_body().collect().await.unwrap().to_bytes();
        assert!(received == bytes);
        kit.wait_until_free(&client).await;
    }
    assert_eq!(client.counts().opened, 1);
}

pub(crate) async fn thousand_requests_on_ten_connections_are_served_in_order<K: Kit>(kit: K) {
    // Ten requests at a time are answered, so the order of the tens is exact.
    let (barrier, paths) = (Arc::new(Barrier::new(10)), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&paths);
    let script = Script::start(move |mut stream, _| {
        let (barrier, seen) = (Arc::clone(&barrier), Arc::clone(&seen));
        async move {
            loop {
                let head = read_head(&mut stream).await?;
                let path = head.split(' ').nth(1).unwrap();
                seen.lock()
                    .unwrap()
                    .push(path[1..].parse::<usize>().unwrap());
                barrier.wait().await;
                stream.write_all(OK).await?;
            }
        }
    });
    let builder = kit.builder().max_per_origin(10);
    // The last request waits for all others.
    let client = kit.build(builder.queue_timeout(Duration::from_secs(600)));
    let requests = (0..1000).map(|n| text(&client, get(&script.uri(&format!("/{n}")))));
    for result in join_all(requests).await {
        assert_eq!(result.unwrap(), "ok");
    }
    assert_eq!((client.counts().opened, script.accepted()), (10, 10));
    let mut paths = paths.lock().unwrap().clone();
    paths.chunks_mut(10).for_each(<[usize]>::sort_unstable);
    assert!(paths.into_iter().eq(0..1000));
}

pub(crate) async fn request_that_waits_too_long_is_an_error<K: Kit>(kit: K) {
    let silent = Script::start(async |_stream, _| pending::<io::Result<()>>().await);
    let (port, limit) = (silent.address.port(), Duration::from_millis(100));
    let builder = || kit.builder().max_per_origin(1);
    for (builder, kind, text) in [
        (
            builder().queue_timeout(limit),
            ErrorKind::QueueTimeout,
            format!(
                "no connection to http://a.test:{port} became free within 100ms; open connections: 1 (1 in all), other requests waiting: 0 (raise `max_per_origin`, or send fewer requests at once)"
            ),
        ),
        (
            builder().timeout(limit),
            ErrorKind::Timeout,
            format!(
                "the request to http://a.test:{port} took longer than 100ms (raise `timeout` if it needs longer)"
            ),
        ),
    ] {
        let client = kit.build(builder);
        let mut first = Box::pin(client.send(get(&silent.uri("/"))));
        while client.counts().active == 0 {
            if let Poll::Ready(result) = futures_util::poll!(first.as_mut()) {
                // Connecting took longer than that. The attempt goes on, for the next request.
                assert_eq!(result.unwrap_err().kind(), kind);
                first = Box::pin(client.send(get(&silent.uri("/"))));
            }
            kit.timer().sleep(Duration::from_millis(1)).await;
        }
        // The first request is not polled any more, so it keeps the connection.
        let error = client.send(get(&silent.uri("/"))).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (kind, text));
        drop(first);
    }
}

pub(crate) async fn idle_connections_close<K: Kit>(kit: K) {
    let served = Served::http();
    let client = kit.build(kit.builder().idle_timeout(Duration::from_millis(50)));
    text(&client, get(&served.uri("/"))).await.unwrap();
    kit.wait_until("the connection is closed", || {
        client.counts().active + client.counts().idle == 0
    })
    .await;
    text(&client, get(&served.uri("/"))).await.unwrap();
    assert_eq!(client.counts().opened, 2);
}

pub(crate) async fn origins_share_the_cap_in_all<K: Kit>(kit: K) {
    let served = Served::http();
    let client = kit.build(kit.builder().max_total(1));
    for host in ["a.test", "b.test", "a.test"] {
        let uri = format!("http://{host}:{}/", served.port());
        text(&client, get(&uri)).await.unwrap();
        let counts = client.counts();
        assert_eq!(
            counts.idle + counts.active + counts.connecting,
            1,
            "{counts:?}"
        );
    }
    assert_eq!(client.counts().opened, 3);
}

pub(crate) async fn keys_separate_connections<K: Kit>(kit: K) {
    let (served, client) = (Served::http(), kit.client());
    for key in ["one", "two", "one"] {
        let mut request = get(&served.uri("/"));
        request.extensions_mut().insert(PoolKey::new(key));
        text(&client, request).await.unwrap();
        kit.wait_until_free(&client).await;
    }
    assert_eq!((client.counts().opened, client.counts().reused), (2, 1));
}

pub(crate) async fn last_client_closes_its_connections<K: Kit>(kit: K) {
    let closed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&closed);
    let script = Script::start(move |stream, _| {
        let seen = Arc::clone(&seen);
        async move {
            let _ = answer_all(stream).await;
            seen.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let client = kit.client();
    let clone = client.clone();
    let requests = (0..3).map(|_| text(&client, get(&script.uri("/"))));
    join_all(requests)
        .await
        .into_iter()
        .for_each(|result| drop(result.unwrap()));
    drop(client);
    assert!(
        text(&clone, get(&script.uri("/"))).await.is_ok(),
        "a clone is a client"
    );
    // A connection that was opened for a request that got another one.
    kit.wait_until("all are connected", || clone.counts().connecting == 0)
        .await;
    let opened = usize::try_from(clone.counts().opened).unwrap();
    drop(clone);
    kit.wait_until("all are closed", || closed.load(Ordering::SeqCst) == opened)
        .await;
}

pub(crate) async fn request_of_a_dropped_client_is_served<K: Kit>(kit: K) {
    let served = Served::http();
    let client = kit.client();
    let sent = client.send(get(&served.uri("/")));
    let called = client.clone().call(get(&served.uri("/")));
    drop(client);
    assert_eq!(sent.await.unwrap().status(), 200);
    assert_eq!(called.await.unwrap().status(), 200);
}

/// The host moves to another address. The old server still serves.
pub(crate) async fn changed_address_takes_effect_at_the_maximum_age<K: Kit>(kit: K) {
    let old = Script::start(|stream, _| answer_all(stream));
    let new = Ipv4Addr::new(127, 0, 0, 2);
    let new = SocketAddr::from((new, old.address.port()));
    let new = Script::at(new, |stream, _| answer_all(stream));
    let hosts = LocalHosts::default();
    let builder = kit.builder_with(hosts.clone(), ["http/1.1"]);
    let client = kit.build(builder.max_age(Duration::from_millis(300)));
    text(&client, get(&old.uri("/"))).await.unwrap();
    hosts.change(new.address.ip().to_string().parse().unwrap());
    assert_eq!((old.accepted(), new.accepted()), (1, 0));
    for _ in 0..10_000 {
        text(&client, get(&old.uri("/"))).await.unwrap();
        if new.accepted() > 0 {
            assert_eq!(old.accepted(), 1);
            return;
        }
        kit.timer().sleep(Duration::from_millis(1)).await;
    }
    panic!("the old address is still used: {:?}", client.counts());
}
