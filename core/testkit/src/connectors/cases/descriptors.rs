//! Attempts that are dropped, and many connections: no descriptor and no task is left.
use super::cases;
use crate::{
    connectors::{
        ConnectorSubject, Peers,
        fixture::{Client, Fixture, serve_while},
    },
    harness::fixture::descriptors,
};
use anyport_core::{runtime::local, transport::Connector};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};
use tokio::runtime::Handle;

cases![
    attempt_dropped_at_each_poll_leaves_nothing if has_descriptors also alone,
    silent_attempts_leave_nothing if waits_for_silent_endpoints also alone,
    silent_attempts_end_with_their_worker if waits_for_silent_endpoints also alone,
    refused_attempts_leave_nothing if has_descriptors also alone,
    thousands_of_connections_leave_nothing if has_descriptors also alone,
];

fn has_descriptors<S: ConnectorSubject>(subject: &S) -> Result<(), &'static str> {
    match subject.has_descriptors() {
        _ if !cfg!(target_os = "linux") => Err("needs /proc/self/fd"),
        true => Ok(()),
        false => Err("needs connections with descriptors"),
    }
}

fn waits_for_silent_endpoints<S: ConnectorSubject>(subject: &S) -> Result<(), &'static str> {
    has_descriptors(subject)?;
    match subject.silent() {
        Some(_) => Ok(()),
        None => Err("needs attempts that wait"),
    }
}

/// The descriptors of this process, and the tasks of the worker.
#[derive(Clone, Copy, Debug)]
struct InUse {
    descriptors: usize,
    tasks: usize,
}

impl InUse {
    fn now() -> Self {
        // The tasks of a worker of tokio.
        let of_tokio = Handle::try_current().map_or(0, |tokio| tokio.metrics().num_alive_tasks());
        Self {
            descriptors: descriptors(),
            tasks: local::task_count() + of_tokio,
        }
    }

    /// Counts once the runtime has opened the descriptors that it keeps.
    async fn at_rest<C: Connector>(client: &Client<C>) -> Self {
        for _ in 0..20 {
            client.pause().await;
        }
        Self::now()
    }

    /// Waits until there is no more in use than this.
    async fn wait<C: Connector>(self, client: &Client<C>) {
        let mut now = Self::now();
        // At least a minute: the peers close their ends on other threads.
        for _ in 0..30_000 {
            if now.descriptors <= self.descriptors && now.tasks <= self.tasks {
                return;
            }
            client.pause().await;
            now = Self::now();
        }
        panic!("before: {self:?}, after: {now:?}");
    }
}

/// Polls a future so many times. `None`: it was pending each time.
async fn poll_times<F: Future>(future: F, mut times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if times == 0 {
            return Poll::Ready(None);
        }
        times -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

async fn attempt_dropped_at_each_poll_leaves_nothing<S: ConnectorSubject>(fixture: Fixture<S>) {
    let peers = fixture.listen().await;
    let client = fixture.client(peers.target(), |client| async move {
        drop(client.connect().await.unwrap());
        let before = InUse::at_rest(&client).await;
        for polls in 0.. {
            let mut is_connected = false;
            for _ in 0..30 {
                let dropped = poll_times(client.connect(), polls).await;
                is_connected |= dropped.is_some();
            }
            before.wait(&client).await;
            if is_connected {
                return polls;
            }
        }
        unreachable!("an attempt takes a bounded number of polls")
    });
    let polls = serve_while(peers, client).await;
    assert!(polls > 0, "an attempt needs a poll");
}

async fn silent_attempts_leave_nothing<S: ConnectorSubject>(fixture: Fixture<S>) {
    const ATTEMPTS: usize = 100;
    let (target, _listener) = fixture.subject().silent().unwrap();
    let client = fixture.client(target, |client| async move {
        for _ in 0..3 {
            let connect = || Box::pin(client.connector.connect(&client.target));
            let mut attempts: Vec<_> = (0..ATTEMPTS).map(|_| connect()).collect();
            for _ in 0..3 {
                poll_fn(|cx| {
                    let mut pending = attempts.iter_mut().map(|attempt| attempt.as_mut().poll(cx));
                    assert!(
                        pending.all(|polled| polled.is_pending()),
                        "the peer is silent"
                    );
                    Poll::Ready(())
                })
                .await;
                client.pause().await;
            }
            // Each attempt has a socket.
            let mut without = InUse::now();
            without.descriptors -= ATTEMPTS;
            drop(attempts);
            without.wait(&client).await;
        }
    });
    client.await;
}

async fn silent_attempts_end_with_their_worker<S: ConnectorSubject>(fixture: Fixture<S>) {
    const ATTEMPTS: usize = 50;
    /// A runtime may leave a few descriptors open: glommio leaves an eventfd.
    const OF_THE_RUNTIME: usize = 8;
    let (target, _listener) = fixture.subject().silent().unwrap();
    let before = descriptors();
    let client = fixture.client(target, |client| {
        let connect = || Box::pin(client.connector.connect(&client.target));
        let mut attempts: Vec<Pin<Box<_>>> = (0..ATTEMPTS).map(|_| connect()).collect();
        // Ready in the same poll, so the worker ends before it cancels anything.
        poll_fn(move |cx| {
            let mut pending = attempts.iter_mut().map(|attempt| attempt.as_mut().poll(cx));
            assert!(
                pending.all(|polled| polled.is_pending()),
                "the peer is silent"
            );
            Poll::Ready(())
        })
    });
    client.await;
    for _ in 0..12_000 {
        if descriptors() <= before + OF_THE_RUNTIME {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let after = descriptors();
    panic!("{before} descriptors before, {after} after");
}

async fn refused_attempts_leave_nothing<S: ConnectorSubject>(fixture: Fixture<S>) {
    let client = fixture.client(fixture.subject().refusing(), |client| async move {
        assert!(client.connect().await.is_err());
        let before = InUse::at_rest(&client).await;
        for _ in 0..500 {
            assert!(client.connect().await.is_err());
        }
        before.wait(&client).await;
    });
    client.await;
}

async fn thousands_of_connections_leave_nothing<S: ConnectorSubject>(fixture: Fixture<S>) {
    let count = match fixture.subject().has_handshake() {
        true => 300,
        false => 3000,
    };
    let peers = fixture.listen().await;
    let client = fixture.client(peers.target(), move |client| async move {
        drop(client.connect().await.unwrap());
        let before = InUse::at_rest(&client).await;
        for _ in 0..count {
            drop(client.connect().await.unwrap());
        }
        before.wait(&client).await;
    });
    serve_while(peers, client).await;
}
