//! A worker's listener, which shares the accept queue.
use crate::{MemoryConnection, MemorySocket};
use anyport_core::{Listener, transport::Connecting};
use std::{
    future::Ready,
    io,
    task::{Context, Poll},
    time::Duration,
};

/// One worker's share of the accept queue. Each connection goes to the worker that polls first.
#[derive(Debug)]
pub struct MemoryListener(MemorySocket);

impl MemoryListener {
    pub(crate) fn new(socket: MemorySocket) -> Self {
        Self(socket)
    }
}

impl Listener for MemoryListener {
    type Connection = MemoryConnection;
    type Handshake = Ready<io::Result<MemoryConnection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        self.0
            .poll_accept(cx)
            .map(|connection| Ok(Connecting::ready(connection)))
    }

    fn stop(&mut self) -> Duration {
        self.0.stop();
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use anyport_core::{Transport, runtime::Worker};
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        task::{Wake, Waker},
    };

    fn listeners(memory: &Memory, workers: usize) -> Vec<MemoryListener> {
        let sockets = memory.open(workers).unwrap().into_iter().enumerate();
        let listeners =
            sockets.map(|(index, socket)| memory.listen(socket, &Worker::new(index, workers)));
        listeners.collect::<Result<_, _>>().unwrap()
    }

    fn accept(listener: &mut MemoryListener, waker: &Waker) -> Option<String> {
        match listener.poll_accept(&mut Context::from_waker(waker)) {
            Poll::Ready(incoming) => Some(incoming.unwrap().peer.to_string()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn clients_connect_until_the_last_worker_stops() {
        let memory = Memory::new();
        let (connector, waker) = (memory.connector(), Waker::noop());
        let mut both = listeners(&memory, 2);
        let _early = connector.connect().unwrap();
        both[0].stop();
        both[0].stop();
        let _late = connector.connect().unwrap();
        // Both clients belong to the other worker, even if the first one polls.
        assert_eq!(accept(&mut both[0], waker), None);
        assert!(accept(&mut both[1], waker).is_some());
        both[1].stop();
        let refused = connector.connect().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(accept(&mut both[1], waker).is_some());
        assert_eq!(accept(&mut both[1], waker), None);
    }

    #[test]
    fn failed_worker_counts_as_stopped() {
        let memory = Memory::new();
        let mut both = listeners(&memory, 2);
        both[0].stop();
        drop(both.remove(0));
        memory.connector().connect().unwrap();
        drop(both);
        memory.connector().connect().unwrap_err();
        // The transport can be bound again.
        listeners(&memory, 1);
    }

    /// A waker that connects to the queue, as a task may that runs at once.
    struct ConnectOnWake(Memory, AtomicUsize);

    impl Wake for ConnectOnWake {
        fn wake(self: Arc<Self>) {
            self.1.fetch_add(1, SeqCst);
            drop(self.0.connector().connect());
        }
    }

    #[test]
    fn wakers_run_outside_the_lock() {
        let memory = Memory::new();
        let connects = Arc::new(ConnectOnWake(memory.clone(), AtomicUsize::new(0)));
        let mut three = listeners(&memory, 3);
        let waker = Waker::from(Arc::clone(&connects));
        for stops in [true, false] {
            assert_eq!(accept(&mut three[0], &waker), None);
            let mut other = three.remove(1);
            if stops {
                other.stop();
            }
            drop(other);
            while let Some(peer) = accept(&mut three[0], Waker::noop()) {
                assert!(peer.starts_with("memory:client-"), "{peer}");
            }
        }
        assert_eq!(connects.1.load(SeqCst), 2);
    }
}
