//! `haproxy`, which answers requests itself.
use crate::{
    kit::{Kit, get, text},
    program::Program,
};
use anyport_core::Body;
use futures_util::future::join_all;
use http::{Request, Version};
use std::{process::Command, time::Duration};

/// How many requests it takes at once on a connection of HTTP/2.
const STREAMS: usize = 5;

/// No test takes as long.
const LONG: Duration = Duration::from_secs(60);

/// `idle` is how long a connection may be idle.
async fn start<K: Kit>(kit: K, idle: Duration) -> Program {
    let mut program = Program::new();
    let (http, https, pem) = (program.http, program.https, program.path("pem"));
    let idle = idle.as_millis();
    let configuration = format!(
        "global\n tune.h2.max-concurrent-streams {STREAMS}\n\
         defaults\n mode http\n timeout client 60s\n timeout http-keep-alive {idle}ms\n\
         frontend front\n bind {http}\n bind {https} ssl crt {pem} alpn h2,http/1.1\n\
         http-request return status 200 content-type text/plain string ok\n"
    );
    let file = program.file("configuration", &configuration);
    let mut command = Command::new("haproxy");
    program.start(kit, command.args(["-db", "-f", &file])).await;
    program
}

/// It closes each connection that is idle for 20 ms. The pauses end around that time, so that
/// requests meet connections that are just being closed.
pub(crate) async fn closed_idle_connections_lose_no_request<K: Kit>(kit: K) {
    let program = start(kit, Duration::from_millis(20)).await;
    let uri = format!("http://a.test:{}/", program.http.port());
    let client = kit.client();
    // On a busy machine, more requests are needed until enough have met an open connection.
    for n in 0..20_000 {
        assert_eq!(text(&client, get(&uri)).await.unwrap(), "ok", "{n}");
        if n % 2 == 0 {
            kit.timer()
                .sleep(Duration::from_micros(19_000 + n % 200 * 10))
                .await;
        }
        let counts = client.counts();
        if n >= 199 && counts.opened > 1 && counts.reused >= 50 {
            return;
        }
    }
    panic!("{:?}", client.counts());
}

pub(crate) async fn bodies_are_sent_over_http1<K: Kit>(kit: K) {
    let program = start(kit, LONG).await;
    let uri = format!("http://a.test:{}/", program.http.port());
    let client = kit.build(kit.builder().max_per_origin(4));
    for _ in 0..10 {
        let posts = (0..30).map(|_| {
            let request = Request::post(&uri).body(Body::from(vec![b'x'; 10_000]));
            client.send(request.unwrap())
        });
        for result in join_all(posts).await {
            let response = result.unwrap();
            assert_eq!(
                (response.version(), response.status().as_u16()),
                (Version::HTTP_11, 200)
            );
        }
    }
}

pub(crate) async fn bursts_over_http2_add_connections<K: Kit>(kit: K) {
    let program = start(kit, LONG).await;
    let uri = format!("https://a.test:{}/", program.https.port());
    let client = kit.build(kit.builder().max_per_origin(4));
    for _ in 0..15 {
        let requests = (0..30).map(|_| async {
            let response = client.send(get(&uri)).await?;
            assert_eq!(response.version(), Version::HTTP_2);
            Ok::<_, anyport_client::Error>(response.status())
        });
        for result in join_all(requests).await {
            assert_eq!(result.unwrap(), 200, "{:?}", client.counts());
        }
        let counts = client.counts();
        assert!(
            counts.idle + counts.active + counts.connecting <= 4,
            "{counts:?}"
        );
    }
    assert!(client.counts().opened > 1, "{:?}", client.counts());
}
