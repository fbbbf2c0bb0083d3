//! Waits for space in the send buffer of a socket.
//!
//! A poll operation of the ring cannot do that. Once the peer has closed its end, the operation
//! completes at once each time, because the kernel adds `POLLRDHUP` to the requested events. A send
//! operation has the same problem, and after some attempts the kernel blocks a thread for it. So
//! each worker has an epoll instance, and its ring waits for that instance.
use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
    net::sockopt::{Timeout, set_socket_timeout},
};
use slab::Slab;
use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    task::{Poll, Waker},
    time::Duration,
};

/// How many sockets are handled before other tasks run.
const BATCH: usize = 64;

thread_local! {
    static REGISTRY: RefCell<Registry> = const { RefCell::new(Registry { epoll: None, waiting: Slab::new() }) };
}

/// The sockets of a worker whose send buffer has been full.
struct Registry {
    epoll: Option<OwnedFd>,
    /// The task that waits for each socket. `None`: the socket is writable, as far as is known.
    waiting: Slab<Option<Waker>>,
}

/// Created before the runtime runs, so that a lack of descriptors fails the start.
pub(crate) fn create_epoll() -> io::Result<OwnedFd> {
    Ok(epoll::create(CreateFlags::CLOEXEC)?)
}

/// Wakes the tasks that wait for a writable socket, for as long as the worker runs. After an error
/// all of them are woken, and `register` fails from then on.
pub(crate) async fn watch(epoll: OwnedFd) {
    let _ = try_watch(epoll).await;
    let waiting = REGISTRY.with_borrow_mut(|registry| {
        registry.epoll = None;
        let waiting = registry.waiting.iter_mut();
        waiting
            .filter_map(|(_, waker)| waker.take())
            .collect::<Vec<_>>()
    });
    waiting.into_iter().for_each(Waker::wake);
}

async fn try_watch(epoll: OwnedFd) -> io::Result<()> {
    let stream = UnixStream::from(epoll.try_clone()?);
    // Nothing is read from this stream: monoio waits for readiness on streams only.
    let stream = monoio::net::UnixStream::from_std(stream)?;
    REGISTRY.with_borrow_mut(|registry| registry.epoll = Some(epoll));
    loop {
        stream.readable(false).await?;
        let has_more = wake_ready()?;
        if has_more {
            yield_now().await;
        }
    }
}

/// Wakes the tasks whose sockets are writable. Returns whether there may be more of them.
fn wake_ready() -> io::Result<bool> {
    let mut events = [const { MaybeUninit::<Event>::uninit() }; BATCH];
    let at_once = Timespec::default();
    let events = REGISTRY.with_borrow(|registry| match &registry.epoll {
        Some(epoll) => epoll::wait(epoll, &mut events, Some(&at_once)).map(|(events, _)| &*events),
        None => Ok(&[][..]),
    });
    let events = match events {
        Err(Errno::INTR) => return Ok(true),
        events => events?,
    };
    for event in events {
        let key = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
        // A socket that is closed later than its connection may report once more, under a key that
        // another socket has by now. That socket's task is then woken too early, which is harmless.
        let waker = REGISTRY.with_borrow_mut(|registry| registry.waiting.get_mut(key)?.take());
        if let Some(waker) = waker {
            waker.wake();
        }
    }
    Ok(events.len() == BATCH)
}

async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Bounds how long a blocking send may sleep in an io-wq thread (SO_SNDTIMEO). The send then fails
/// with EAGAIN, and the bytes are sent by a non-blocking call instead. Connections inherit this
/// from their listening TCP socket.
pub(crate) fn set_send_timeout(socket: impl AsFd) -> io::Result<()> {
    // The shortest timeout that there is: the kernel rounds it up to one tick of its clock.
    Ok(set_socket_timeout(
        socket,
        Timeout::Send,
        Some(Duration::from_micros(1)),
    )?)
}

/// Readiness of one socket's send buffer, which has been full.
#[derive(Debug)]
pub(crate) struct Writability {
    key: usize,
}

impl Writability {
    /// Registers a socket that has just refused to take more.
    pub(crate) fn new(socket: impl AsFd) -> io::Result<Self> {
        REGISTRY.with_borrow_mut(|registry| {
            let Some(epoll) = &registry.epoll else {
                return Err(not_watched());
            };
            let key = registry.waiting.insert(None);
            let writability = Self { key };
            let data = EventData::new_u64(key as u64);
            // Edge-triggered: an event occurs each time that the full buffer has space again, and
            // at once if it has space now.
            let flags = EventFlags::OUT | EventFlags::ET;
            let added = match epoll::add(epoll, &socket, data, flags) {
                // The socket was registered before, and its connection has been idle since.
                Err(Errno::EXIST) => epoll::modify(epoll, &socket, data, flags),
                added => added,
            };
            if let Err(error) = added {
                registry.waiting.remove(key);
                std::mem::forget(writability);
                return Err(error.into());
            }
            Ok(writability)
        })
    }

    /// Wakes `waker` when the socket is writable. This waker replaces that of an earlier call.
    pub(crate) fn register(&self, waker: &Waker) -> io::Result<()> {
        let old = REGISTRY.with_borrow_mut(|registry| match registry.waiting.get_mut(self.key) {
            _ if registry.epoll.is_none() => Err(not_watched()),
            Some(Some(old)) if old.will_wake(waker) => Ok(None),
            Some(waiting) => Ok(waiting.replace(waker.clone())),
            None => Ok(None),
        });
        // Dropping a waker may run any code, so it happens outside of the borrow.
        old.map(drop)
    }

    /// Whether a task waits, and the socket has not been writable since.
    pub(crate) fn is_awaited(&self) -> bool {
        REGISTRY.with_borrow(|registry| registry.waiting.get(self.key).is_some_and(Option::is_some))
    }
}

fn not_watched() -> io::Error {
    io::Error::other("the worker cannot wait until a socket is writable")
}

impl Drop for Writability {
    fn drop(&mut self) {
        let waiting =
            REGISTRY.try_with(|registry| registry.borrow_mut().waiting.try_remove(self.key));
        drop(waiting);
    }
}
