//! A running server under test.
use crate::{
    app::{HELLO, state::State},
    client::{Client, Io, Response, h2::H2, h2_peer::Peer},
    harness::site::Site,
};
use anyport_core::{Endpoint, Handle, Server};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// A server while it's tested; aborted when dropped.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) state: Arc<State>,
    site: Site,
}

impl Running {
    pub(crate) fn start(site: &Site, server: Server, state: Arc<State>) -> Self {
        Self {
            handle: server.start().expect("the server starts"),
            state,
            site: site.clone(),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.handle.endpoints()[0]
    }

    pub(crate) async fn connect(&self) -> Io {
        let connected = self.site.connect(self.endpoint()).await;
        connected.expect("the server accepts connections")
    }

    pub(crate) async fn connect_h2(&self) -> Io {
        let connected = self.site.connect_h2(self.endpoint()).await;
        connected.expect("the server accepts connections")
    }

    pub(crate) async fn client(&self) -> Client {
        Client::new(self.connect().await)
    }

    /// One that speaks HTTP/2, as far as the test says.
    pub(crate) async fn raw_h2(&self) -> Client {
        Client::new(self.connect_h2().await)
    }

    /// A client that resets its connection when it is dropped.
    pub(crate) async fn resetting_client(&self) -> Client {
        let connected = self.site.connect_resetting(self.endpoint()).await;
        Client::new(connected.expect("the server accepts connections"))
    }

    /// Somebody whom the server may refuse, or leave waiting.
    pub(crate) async fn knocking(&self) -> Client {
        let connected = self.site.knock(self.endpoint()).await;
        Client::new(connected.expect("the server listens"))
    }

    /// One that speaks HTTP/2 by single frames.
    pub(crate) async fn h2_peer(&self) -> Peer {
        Peer::new(self.raw_h2().await).await
    }

    pub(crate) async fn h2(&self) -> H2 {
        H2::new(self.connect_h2().await).await
    }

    /// One request on a connection of its own; that connection has left afterwards, as far as the
    /// client is concerned.
    pub(crate) async fn ask(&self, request: &str) -> Response {
        let mut client = self.client().await;
        client.send(request).await;
        client.response().await
    }

    /// Somebody new is served.
    pub(crate) async fn serves_others(&self) {
        let mut client = self.client().await;
        assert_eq!(client.get("/").await.body, HELLO, "somebody new is served");
        let mut h2 = self.h2().await;
        assert_eq!(
            h2.get("/").await.body,
            HELLO,
            "somebody new is served over HTTP/2"
        );
    }

    /// Waits until this many connections are open.
    pub(crate) async fn settles(&self, connections: usize) {
        // A listener that's just being polled holds a permit for a moment, so one look could be
        // wrong.
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

    /// Waits until nobody can connect any more.
    pub(crate) async fn refuses(&self) {
        while self.site.connect(self.endpoint()).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.handle.abort());
    }
}
