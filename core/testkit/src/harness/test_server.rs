//! A server under test.
use crate::{
    app::{HELLO, state::State},
    client::{Client, Io, Response, h2::H2, h2_peer::Peer},
    harness::{
        any_subject::AnySubject,
        watch::{awaiting, note, waiting},
    },
};
use anyport_core::{Handle, Server, transport::Endpoint};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
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
            handle: server
                .start()
                .unwrap_or_else(|error| panic!("the server does not start: {error}")),
            state,
            subject: subject.clone(),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.handle.endpoints()[0]
    }

    pub(crate) async fn connect(&self) -> Io {
        let connecting = self.subject.connect(self.endpoint());
        connected(awaiting("a connection to the server", connecting).await)
    }

    pub(crate) async fn connect_h2(&self) -> Io {
        let connecting = self.subject.connect_h2(self.endpoint());
        connected(awaiting("a connection for HTTP/2", connecting).await)
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
        let connecting = self.subject.connect_resetting(self.endpoint());
        Client::new(connected(
            awaiting("a connection to the server", connecting).await,
        ))
    }

    /// A client that the server may refuse, or leave waiting.
    pub(crate) async fn pending_client(&self) -> Client {
        let connecting = self.subject.connect_lazily(self.endpoint());
        Client::new(connected(
            awaiting("a connection to the server", connecting).await,
        ))
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
        let (mut right, mut reported) = (0, usize::MAX);
        let what = |open| format!("{connections} open connections (there are {open})");
        let mut wait = None;
        while right < 3 {
            let open = self.handle.connections();
            right = if open == connections { right + 1 } else { 0 };
            if open != reported {
                (reported, wait) = (open, Some(waiting(what(open))));
            }
            sleep(Duration::from_millis(1)).await;
        }
        drop(wait);
    }

    /// Waits until new clients are refused.
    pub(crate) async fn wait_until_refusing(&self) {
        let _wait = waiting("the end of accepting: a connection that fails");
        while self.subject.connect(self.endpoint()).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn connected(connected: io::Result<Io>) -> Io {
    connected.unwrap_or_else(|error| panic!("the client cannot connect to the server: {error}"))
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let mut ended = self.handle.wait();
        let ended = Pin::new(&mut ended).poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(Err(error)) = ended {
            note(format!("the server ended with an error: {error}"));
        }
        drop(self.handle.abort());
    }
}
