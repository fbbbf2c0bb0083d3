//! Waits for a descriptor that is no connection: a listening socket, a timer.
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
/// Of glommio's reactor, nothing but its streams can be asked for that: a new one begins to wait at
/// once, whatever its descriptor is, and none is ever read from here. It waits once, so each time
/// takes a duplicate of the descriptor; that's two system calls, but not one for each client of a
/// burst.
#[derive(Default)]
pub(crate) struct Watch(Option<Armed>);

struct Armed {
    /// What waits, until it's dropped.
    stream: TcpStream,
    signal: Arc<Signal>,
}

/// What the reactor wakes.
struct Signal {
    is_given: AtomicBool,
    waiting: AtomicWaker,
}

impl Watch {
    /// Ready once the descriptor is readable, and from then on it's to be waited for anew.
    ///
    /// # Errors
    ///
    /// No descriptor is left to wait by.
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
        armed.signal.waiting.register(cx.waker());
        if armed.signal.is_given.load(Ordering::Acquire) {
            self.0 = None;
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Whether it waits already.
    pub(crate) fn is_armed(&self) -> bool {
        self.0.is_some()
    }
}

impl Armed {
    fn new(of: impl AsFd, cx: &Context<'_>) -> io::Result<Self> {
        let duplicate = of.as_fd().try_clone_to_owned()?;
        let mut stream = TcpStream::from(Socket::from(net::TcpStream::from(duplicate)));
        let signal = Arc::new(Signal {
            is_given: AtomicBool::new(false),
            waiting: AtomicWaker::new(),
        });
        signal.waiting.register(cx.waker());
        let waker = Waker::from(Arc::clone(&signal));
        // While it waits, a read just leaves its waker.
        match Pin::new(&mut stream).poll_read(&mut Context::from_waker(&waker), &mut []) {
            Poll::Pending => Ok(Self { stream, signal }),
            Poll::Ready(_) => Err(io::Error::other(
                "glommio's reactor doesn't wait for a new stream",
            )),
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.is_given.store(true, Ordering::Release);
        self.waiting.wake();
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descriptor = self.0.as_ref().map(|armed| armed.stream.as_raw_fd());
        f.debug_tuple("Watch").field(&descriptor).finish()
    }
}
