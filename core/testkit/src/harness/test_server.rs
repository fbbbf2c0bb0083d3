//! A server under test.
use crate::{
    app::{HELLO, state::State},
    client::{Client, Io, Response, h2::H2, h2_peer::Peer},
    harness::any_subject::AnySubject,
};
use anyport_core::{Handle, Server, transport::Endpoint};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// A server under test. It is aborted when dropped.
pub(crate) struct TestServer {
    pub(crate) handle: Handle,
    pub(crate) state: Arc<State>,
    subject: AnySubject,
}

impl TestServer {
    pub(crate) fn start(subject: &AnySubject, server: Server, state: Arc<State>) -> Self {
        Self {
            handle: server.start().expect("expected the server to start"),
            state,
            subject: subject.clone(),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.handle.endpoints()[0]
    }

    pub(crate) async fn connect(&self) -> Io {
        let connected = self.subject.connect(self.endpoint()).await;
        connected.expect("expected a connection to the server")
    }

    pub(crate) async fn connect_h2(&self) -> Io {
        let connected = self.subject.connect_h2(self.endpoint()).await;
        connected.expect("expected a connection to the server")
    }

    pub(crate) async fn client(&self) -> Client {
        Client::new(self.connect().await)
    }

    /// A client for HTTP/2 whose bytes the test chooses.
    pub(crate) async fn raw_h2(&self) -> Client {
        Client::new(self.connect_h2().await)
    }

    /// A client that resets its connection when it is dropped.
    pub(crate) async fn resetting_client(&self) -> Client {
        let connected = self.subject.connect_resetting(self.endpoint()).await;
        Client::new(connected.expect("expected a connection to the server"))
    }

    /// A client that the server may refuse, or leave waiting.
    pub(crate) async fn pending_client(&self) -> Client {
        let connected = self.subject.connect_lazily(self.endpoint()).await;
        Client::new(connected.expect("expected a listening server"))
    }

    /// A client for HTTP/2 whose frames the test chooses.
    pub(crate) async fn h2_peer(&self) -> Peer {
        Peer::new(self.raw_h2().await).await
    }

    pub(crate) async fn h2(&self) -> H2 {
        H2::new(self.connect_h2().await).await
    }

    /// Sends one request on a connection of its own. The client has disconnected afterwards.
    pub(crate) async fn exchange(&self, request: &str) -> Response {
        let mut client = self.client().await;
        client.send(request).await;
        client.response().await
    }

    /// Asserts that new clients are served, over both versions of HTTP.
    pub(crate) async fn assert_serves_new_clients(&self) {
        let mut client = self.client().await;
        assert_eq!(client.get("/").await.body, HELLO, "GET / of a new client");
        let mut h2 = self.h2().await;
        assert_eq!(
            h2.get("/").await.body,
            HELLO,
            "GET / of a new client over HTTP/2"
        );
    }

    /// Waits until this many connections are open.
    pub(crate) async fn wait_for_connections(&self, connections: usize) {
        // A listener holds a permit while it is polled, so a single look may count one too many.
        let mut right = 0;
        while right < 3 {
            right = if self.handle.connections() == connections {
                right + 1
            } else {
                0
            };
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until new clients are refused.
    pub(crate) async fn wait_until_refusing(&self) {
        while self.subject.connect(self.endpoint()).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.handle.abort());
    }
}
