//! `nginx`, which ends its connections after a number of requests, and at each reload.
use crate::{
    kit::{Kit, get, text},
    program::Program,
};
use anyport_client::ErrorKind;
use anyport_core::Body;
use futures_util::future::join_all;
use http::{Request, Version};
use rustix::process::Signal;
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// After how many requests it ends a connection.
const KEPT: usize = 20;

fn configure(program: &Program, kept: usize, answer: &str) -> String {
    let (http, https) = (program.http, program.https);
    let (at, pem) = (program.path(""), program.path("pem"));
    program.file(
        "nginx.conf",
        &format!(
            "daemon off; worker_processes 1; user root root; pid {at}pid; error_log stderr crit;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; client_body_temp_path {at}1; proxy_temp_path {at}2;\n\
             fastcgi_temp_path {at}3; uwsgi_temp_path {at}4; scgi_temp_path {at}5;\n\
             keepalive_requests {kept}; ssl_certificate {pem}; ssl_certificate_key {pem};\n\
             server {{ listen {http} reuseport; listen {https} ssl http2 reuseport;\n\
             location / {{ return 200 \"{answer}\"; }} }} }}\n"
        ),
    )
}

async fn start<K: Kit>(kit: K, kept: usize) -> Program {
    let mut program = Program::new();
    let file = configure(&program, kept, "0");
    let mut command = Command::new("nginx");
    program.start(kit, command.args(["-c", &file])).await;
    program
}

fn uris(program: &Program) -> [(Version, String); 2] {
    [
        (
            Version::HTTP_11,
            format!("http://a.test:{}/", program.http.port()),
        ),
        (
            Version::HTTP_2,
            format!("https://a.test:{}/", program.https.port()),
        ),
    ]
}

/// One request after another. nginx announces the end of a connection, so that not even a request
/// that must not be repeated is lost: it is served, or refused before it was processed.
pub(crate) async fn keepalive_requests_lose_no_request<K: Kit>(kit: K) {
    let program = start(kit, KEPT).await;
    for (version, uri) in uris(&program) {
        let client = kit.client();
        assert_eq!(client.send(get(&uri)).await.unwrap().version(), version);
        for n in 0..300 {
            let post = || Request::post(&uri).body(Body::from("a body")).unwrap();
            let request = || if n % 2 == 0 { get(&uri) } else { post() };
            let mut sent = text(&client, request()).await;
            // A GOAWAY may arrive after the next request was sent, which nginx has not processed.
            if matches!(&sent, Err(error) if error.kind() == ErrorKind::Refused) {
                sent = text(&client, request()).await;
            }
            assert_eq!(sent.unwrap(), "0", "{n}");
        }
        let counts = client.counts();
        assert!(counts.opened >= (300 / KEPT) as u64, "{counts:?}");
        assert!(counts.reused >= 250, "{counts:?}");
    }
}

/// Many requests at once. Over HTTP/2, some reach a connection whose GOAWAY is on its way.
pub(crate) async fn keepalive_requests_lose_no_request_of_a_burst<K: Kit>(kit: K) {
    let program = start(kit, KEPT).await;
    for (version, uri) in uris(&program) {
        let client = kit.build(kit.builder().max_per_origin(4));
        for _ in 0..15 {
            let requests = (0..30).map(|_| text(&client, get(&uri)));
            for result in join_all(requests).await {
                assert_eq!(result.unwrap(), "0", "{version:?} {:?}", client.counts());
            }
        }
        assert!(client.counts().opened >= 450 / KEPT as u64);
    }
}

/// Old workers close their connections, idle ones at once. Requests that may be repeated are.
pub(crate) async fn reload_loses_no_request<K: Kit>(kit: K) {
    let program = start(kit, 100_000).await;
    for (version, uri) in uris(&program) {
        let client = kit.build(kit.builder().max_per_origin(4));
        // Before its first worker serves, nginx may miss a signal.
        text(&client, get(&uri)).await.unwrap();
        let mut sent = 1;
        for generation in 1..=5 {
            let answer = format!("{version:?}-{generation}");
            configure(&program, 100_000, &answer);
            program.signal(Signal::HUP);
            let mut answers = 0;
            let by = Instant::now() + Duration::from_secs(120);
            while Instant::now() < by {
                let requests = (0..8).map(|_| text(&client, get(&uri)));
                for result in join_all(requests).await {
                    answers += usize::from(result.unwrap() == answer);
                    sent += 1;
                }
                if answers > 40 {
                    break;
                }
            }
            assert!(answers > 40, "it has not reloaded: {answers} of {sent}");
        }
        assert!(client.counts().opened >= 6, "{:?}", client.counts());
    }
}
