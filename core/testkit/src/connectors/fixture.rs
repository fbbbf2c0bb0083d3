//! One case: a client on a worker of the connector's runtime, and its peers on tokio.
use super::{ConnectorSubject, Peers};
use anyport_core::transport::{Connector, Target};
use hyper_util::rt::TokioIo;
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::oneshot, task};

/// The input of a case.
pub(super) struct Fixture<S> {
    subject: Arc<S>,
}

impl<S: ConnectorSubject> Fixture<S> {
    pub(super) fn new(subject: Arc<S>) -> Self {
        Self { subject }
    }

    pub(super) fn subject(&self) -> &S {
        &self.subject
    }

    pub(super) async fn listen(&self) -> S::Peers {
        self.subject.listen().await.unwrap()
    }

    /// Runs a client on a worker of its runtime, to the end of that worker.
    pub(super) fn client<M, F>(
        &self,
        target: Target,
        client: M,
    ) -> impl Future<Output = F::Output> + use<S, M, F>
    where
        M: FnOnce(Client<S::Connector>) -> F + Send + 'static,
        F: Future<Output: Send + 'static> + 'static,
    {
        let (subject, tokio) = (Arc::clone(&self.subject), Handle::current());
        let running = task::spawn_blocking(move || {
            let connectors = Arc::clone(&subject);
            subject.run(move || {
                client(Client {
                    connector: connectors.connector(&target),
                    target,
                    tokio,
                })
            })
        });
        // A panic of the client is reported by its own thread; here, the worker has no output.
        async { running.await.unwrap().unwrap() }
    }
}

/// The client's side of a case.
pub(super) struct Client<C> {
    pub(super) connector: C,
    pub(super) target: Target,
    tokio: Handle,
}

impl<C: Connector> Client<C> {
    /// Both phases.
    pub(super) async fn connect(&self) -> io::Result<C::Connection> {
        self.connector.connect(&self.target).await?.await
    }

    /// Both phases, with tokio's traits for the stream.
    pub(super) async fn stream(&self) -> TokioIo<C::Connection> {
        TokioIo::new(self.connect().await.unwrap())
    }

    /// Lets the runtime run its other tasks and wait for events.
    pub(super) async fn pause(&self) {
        let (sender, receiver) = oneshot::channel();
        self.tokio.spawn(async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let _ = sender.send(());
        });
        let _ = receiver.await;
    }
}

/// Accepts connections until the client is done, reads each to its end, and drops it.
pub(super) async fn serve_while<P: Peers, T>(mut peers: P, client: impl Future<Output = T>) -> T {
    let serving = async move {
        loop {
            // An error is the client's, which has dropped its attempt.
            if let Ok((mut stream, _)) = peers.accept().await {
                task::spawn(async move {
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                });
            }
        }
    };
    tokio::select! {
        done = client => done,
        () = serving => unreachable!("peers are accepted without end"),
    }
}
