//! Uses upgraded connections on a thread other than their worker's.
use crate::app::{DELIBERATE, script::pattern, state::State};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
    time::timeout,
};

pub(crate) const PING: &str = "ping";

pub(crate) const MUCH: usize = 1_000_000;

/// What came of a connection on another thread: of reading, and of writing.
pub(crate) type Abroad = [io::Result<()>; 2];

/// Goes on with an upgraded connection on another thread, as its path says.
pub(crate) fn take(path: &str, upgraded: Upgraded, state: &Arc<State>) {
    let there = Arc::clone(state);
    match path {
        "/used-abroad" => state.go_abroad(|| echo(upgraded)),
        "/dropped-abroad" => state.go_abroad(|| leave(upgraded)),
        "/written-abroad" => state.go_abroad(|| write_and_leave(upgraded)),
        "/stalled-abroad" => state.go_abroad(|| stall_and_leave(upgraded)),
        "/panics-abroad" => state.go_abroad(|| panic(upgraded)),
        "/kept-abroad" => state.go_abroad(move || keep(upgraded, &there)),
        // It says itself when it's there.
        "/waits-abroad" => return state.go_abroad(move || wait(upgraded, &there)),
        _ => panic!("{path} is nothing that's done abroad"),
    }
    state.arrives();
}

/// Sends so much back as [`PING`] is, by a thread that is no worker. Then it's dropped there.
fn echo(upgraded: Upgraded) -> Abroad {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut io = TokioIo::new(upgraded);
        let mut ping = [0; PING.len()];
        let read = io.read_exact(&mut ping).await.map(drop);
        let written = match io.write_all(&ping).await {
            Ok(()) => io.flush().await,
            failed => failed,
        };
        [read, written]
    })
}

/// Runs it on a thread that is no worker, where tokio's timers and sockets work.
pub(crate) async fn run<F>(future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    static ABROAD: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    });
    ABROAD.spawn(future).await.unwrap();
}

/// Writes more than fits into any buffer on its way, as far as the client reads it, then drops it
/// there without a word.
fn write_and_leave(upgraded: Upgraded) -> Abroad {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut io = TokioIo::new(upgraded);
        let written = io.write_all(&pattern(MUCH)).await;
        [written, io.flush().await]
    })
}

/// Writes until nobody takes any more, then drops it there.
fn stall_and_leave(upgraded: Upgraded) -> Abroad {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut io = TokioIo::new(upgraded);
        let stalls = async { while io.write_all(&[7; 64 * 1024]).await.is_ok() {} };
        // It may go on for a while: kernels have room for megabytes.
        let stalled = timeout(Duration::from_millis(200), stalls).await;
        assert!(stalled.is_err(), "it fails before its peer has left");
        [Ok(()), Ok(())]
    })
}

/// Panics with it in its hands.
fn panic(upgraded: Upgraded) -> Abroad {
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _upgraded = upgraded;
        panic!("{DELIBERATE} abroad")
    }));
    caught.unwrap_or([Ok(()), Ok(())])
}

/// Reads there what never comes; then tries to write.
fn wait(upgraded: Upgraded, state: &State) -> Abroad {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut io = TokioIo::new(upgraded);
        let read = {
            let mut byte = [0];
            let mut read = pin!(io.read_exact(&mut byte));
            assert!(poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
            state.arrives();
            read.await.map(drop)
        };
        let written = io.write_all(b"too late").await;
        [read, written]
    })
}

/// Reads a moment, in vain, and keeps it.
fn keep(upgraded: Upgraded, state: &State) -> Abroad {
    let mut io = TokioIo::new(upgraded);
    let mut byte = [0];
    let mut cx = Context::from_waker(Waker::noop());
    let read = pin!(io.read(&mut byte)).poll(&mut cx);
    assert!(read.is_pending(), "nothing was sent: {read:?}");
    *state.kept_abroad.lock().unwrap() = Some(io.into_inner());
    [Ok(()), Ok(())]
}

/// Only drops it there.
fn leave(upgraded: Upgraded) -> Abroad {
    drop(upgraded);
    [Ok(()), Ok(())]
}
