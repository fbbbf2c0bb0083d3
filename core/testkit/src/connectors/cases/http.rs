//! HTTP by hyper's client connections, which need no `Send` of the stream.
use super::cases;
use crate::connectors::{ConnectorSubject, Peers, fixture::Fixture};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

cases![hyper_sends_requests_over_the_connection];

async fn hyper_sends_requests_over_the_connection<S: ConnectorSubject>(fixture: Fixture<S>) {
    let mut peers = fixture.listen().await;
    let client = fixture.client(peers.target(), |client| async move {
        let io = client.connect().await.unwrap();
        let (mut sender, connection) = http1::handshake(io).await.unwrap();
        let requests = async move {
            for i in 0..3 {
                let request = Request::get(format!("/{i}")).header("host", "peer");
                let request = request.body(Empty::<Bytes>::new()).unwrap();
                let response = sender.send_request(request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, format!("GET /{i}"));
            }
        };
        let (connection, ()) = tokio::join!(connection, requests);
        connection.unwrap();
    });
    let peer = async {
        let (mut stream, _) = peers.accept().await.unwrap();
        let mut request = Vec::new();
        while let Ok(byte) = stream.read_u8().await {
            request.push(byte);
            if request.ends_with(b"\r\n\r\n") {
                let line = String::from_utf8(request.split_off(0)).unwrap();
                let body = &line[..line.find(" HTTP/1.1").unwrap()];
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    };
    tokio::join!(client, peer);
}
