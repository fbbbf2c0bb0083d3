//! Waits for room in the send buffer of a socket.
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

/// How many sockets are looked after before other tasks get their turn.
const BATCH: usize = 64;

thread_local! {
    static ROOMS: RefCell<Rooms> = const { RefCell::new(Rooms { epoll: None, waiting: Slab::new() }) };
}

/// The sockets of a worker that have been full.
struct Rooms {
    epoll: Option<OwnedFd>,
    /// Who waits for room. Nobody: there's some, as far as is known.
    waiting: Slab<Option<Waker>>,
}

/// What a worker waits with, made before its runtime runs.
pub(crate) fn epoll() -> io::Result<OwnedFd> {
    Ok(epoll::create(CreateFlags::CLOEXEC)?)
}

/// Wakes those who wait for room on this worker, for as long as it lives. Where that can't be, they
/// aren't let wait.
pub(crate) async fn watch(epoll: OwnedFd) {
    let _ = try_watch(epoll).await;
    let waiting = ROOMS.with_borrow_mut(|rooms| {
        rooms.epoll = None;
        let waiting = rooms.waiting.iter_mut();
        waiting
            .filter_map(|(_, waker)| waker.take())
            .collect::<Vec<_>>()
    });
    waiting.into_iter().for_each(Waker::wake);
}

async fn try_watch(epoll: OwnedFd) -> io::Result<()> {
    let stream = UnixStream::from(epoll.try_clone()?);
    // It's a stream in name only, since monoio waits for nothing else.
    let stream = monoio::net::UnixStream::from_std(stream)?;
    ROOMS.with_borrow_mut(|rooms| rooms.epoll = Some(epoll));
    loop {
        stream.readable(false).await?;
        let is_more = wake()?;
        if is_more {
            yield_now().await;
        }
    }
}

/// Wakes those for whom there's room; whether there may be more of them.
fn wake() -> io::Result<bool> {
    let mut events = [const { MaybeUninit::<Event>::uninit() }; BATCH];
    let at_once = Timespec::default();
    let events = ROOMS.with_borrow(|rooms| match &rooms.epoll {
        Some(epoll) => epoll::wait(epoll, &mut events, Some(&at_once)).map(|(events, _)| &*events),
        None => Ok(&[][..]),
    });
    let events = match events {
        Err(Errno::INTR) => return Ok(true),
        events => events?,
    };
    for event in events {
        let key = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
        // A socket that's closed later than its connection may be told of once more, by the key of
        // another one: that's woken too early.
        let waker = ROOMS.with_borrow_mut(|rooms| rooms.waiting.get_mut(key)?.take());
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

/// Bounds how long an operation that has to wait sleeps in a thread of the kernel's: it fails after
/// that, and is begun again by a call that doesn't sleep. Connections that a TCP socket accepts
/// have it from there.
pub(crate) fn bound_sleep(socket: impl AsFd) -> io::Result<()> {
    // The shortest there is: the kernel rounds it up to one tick.
    Ok(set_socket_timeout(
        socket,
        Timeout::Send,
        Some(Duration::from_micros(1)),
    )?)
}

/// Room in the send buffer of one socket, which has been waited for.
#[derive(Debug)]
pub(crate) struct Room {
    key: usize,
}

impl Room {
    /// Of a socket that has just refused to take more.
    pub(crate) fn new(socket: impl AsFd) -> io::Result<Self> {
        ROOMS.with_borrow_mut(|rooms| {
            let Some(epoll) = &rooms.epoll else {
                return Err(nobody_watches());
            };
            let key = rooms.waiting.insert(None);
            let room = Self { key };
            let data = EventData::new_u64(key as u64);
            // An event comes each time that a socket that was full has room again, and now, if it
            // has.
            let flags = EventFlags::OUT | EventFlags::ET;
            let added = match epoll::add(epoll, &socket, data, flags) {
                // It was waited for before its connection was idle.
                Err(Errno::EXIST) => epoll::modify(epoll, &socket, data, flags),
                added => added,
            };
            if let Err(error) = added {
                rooms.waiting.remove(key);
                std::mem::forget(room);
                return Err(error.into());
            }
            Ok(room)
        })
    }

    /// Has somebody woken when there's room; nobody else.
    pub(crate) fn wait(&self, waker: &Waker) -> io::Result<()> {
        let old = ROOMS.with_borrow_mut(|rooms| match rooms.waiting.get_mut(self.key) {
            _ if rooms.epoll.is_none() => Err(nobody_watches()),
            Some(Some(old)) if old.will_wake(waker) => Ok(None),
            Some(waiting) => Ok(waiting.replace(waker.clone())),
            None => Ok(None),
        });
        // Dropping a waker may run anything.
        old.map(drop)
    }

    /// Whether somebody waits, and there has been no room since.
    pub(crate) fn is_awaited(&self) -> bool {
        ROOMS.with_borrow(|rooms| rooms.waiting.get(self.key).is_some_and(Option::is_some))
    }
}

fn nobody_watches() -> io::Error {
    io::Error::other("the worker can't wait for room in a socket")
}

impl Drop for Room {
    fn drop(&mut self) {
        let waiting = ROOMS.try_with(|rooms| rooms.borrow_mut().waiting.try_remove(self.key));
        drop(waiting);
    }
}
