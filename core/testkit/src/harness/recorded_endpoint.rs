//! A transport around the subject's that records its endpoint, for tests without a handle.
use crate::harness::any_subject::BoundEndpoint;
use anyport_core::{
    Result, Transport,
    runtime::{RuntimeOptions, Worker, Workers},
    transport::Endpoint,
};
use std::io;

/// Records the endpoint of a transport.
#[derive(Clone)]
pub(crate) struct RecordedEndpoint<T> {
    inner: T,
    bound: BoundEndpoint,
}

impl<T> RecordedEndpoint<T> {
    pub(crate) fn new(inner: T, bound: BoundEndpoint) -> Self {
        Self { inner, bound }
    }
}

impl<T: Transport> Transport for RecordedEndpoint<T> {
    type Runtime = T::Runtime;
    type Socket = T::Socket;
    type Listener = T::Listener;

    fn workers(&self) -> Workers {
        self.inner.workers()
    }

    fn runtime_options(&self) -> Option<RuntimeOptions> {
        self.inner.runtime_options()
    }

    fn open(&self, workers: usize) -> Result<Vec<T::Socket>> {
        self.inner.open(workers)
    }

    fn endpoint(&self, socket: &T::Socket) -> io::Result<Endpoint> {
        let endpoint = self.inner.endpoint(socket)?;
        *self.bound.lock().unwrap() = Some(endpoint.clone());
        Ok(endpoint)
    }

    fn listen(&self, socket: T::Socket, worker: &Worker) -> io::Result<T::Listener> {
        self.inner.listen(socket, worker)
    }
}
