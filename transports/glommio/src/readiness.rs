//! Waits for a descriptor that is not a connection: a listening socket or a timer.
use atomic_waker::AtomicWaker;
use futures_io::AsyncRead;
use glommio::net::TcpStream;
use glommio_socket2::Socket;
use std::{
    fmt, io, net,
    os::fd::{AsFd, AsRawFd},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Waits until a descriptor is readable.
///
/// glommio's reactor waits on glommio's streams only. A new stream starts to wait at once, with any
/// kind of descriptor, and nothing is read from it. A stream waits only once, so each wait takes a
/// duplicate of the descriptor. A wait costs two system calls; a burst of clients needs only one
/// wait.
#[derive(Default)]
pub(crate) struct Readiness(Option<Armed>);

struct Armed {
    /// Waits until it is dropped.
    stream: TcpStream,
    signal: Arc<Signal>,
}

/// The waker for the reactor.
struct Signal {
    is_set: AtomicBool,
    task: AtomicWaker,
}

impl Readiness {
    /// Ready once the descriptor is readable. The next call starts a new wait.
    ///
    /// # Errors
    ///
    /// No descriptor is left for the duplicate.
    pub(crate) fn poll_readable(
        &mut self,
        of: impl AsFd,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(armed) = &self.0 else {
            return match Armed::new(of, cx) {
                Ok(armed) => {
                    self.0 = Some(armed);
                    Poll::Pending
                }
                Err(e) => Poll::Ready(Err(e)),
            };
        };
        armed.signal.task.register(cx.waker());
        if armed.signal.is_set.load(Ordering::Acquire) {
            self.0 = None;
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.0.is_some()
    }
}

impl Armed {
    fn new(of: impl AsFd, cx: &Context<'_>) -> io::Result<Self> {
        let duplicate = of.as_fd().try_clone_to_owned()?;
        let mut stream = TcpStream::from(Socket::from(net::TcpStream::from(duplicate)));
        let signal = Arc::new(Signal {
            is_set: AtomicBool::new(false),
            task: AtomicWaker::new(),
        });
        signal.task.register(cx.waker());
        let waker = Waker::from(Arc::clone(&signal));
        // While the stream waits, a read only stores its waker.
        match Pin::new(&mut stream).poll_read(&mut Context::from_waker(&waker), &mut []) {
            Poll::Pending => Ok(Self { stream, signal }),
            Poll::Ready(_) => Err(io::Error::other(
                "the reactor of glommio did not wait for a new stream",
            )),
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.is_set.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descriptor = self.0.as_ref().map(|armed| armed.stream.as_raw_fd());
        f.debug_tuple("Readiness").field(&descriptor).finish()
    }
}
