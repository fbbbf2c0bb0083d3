//! The app's handlers of an upgraded connection on a thread that is not its worker.
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

/// The results of reading and of writing on the other thread.
pub(crate) type ThreadOutcome = [io::Result<()>; 2];

/// Moves an upgraded connection to another thread; the path selects what happens there.
pub(crate) fn take(path: &str, upgraded: Upgraded, state: &Arc<State>) {
    let there = Arc::clone(state);
    match path {
        "/thread/echo" => state.spawn_thread(|| echo(upgraded)),
        "/thread/drop" => state.spawn_thread(|| drop_it(upgraded)),
        "/thread/write-and-drop" => state.spawn_thread(|| write_and_drop(upgraded)),
        "/thread/stall-and-drop" => state.spawn_thread(|| stall_and_drop(upgraded)),
        "/thread/panic" => state.spawn_thread(|| panic(upgraded)),
        "/thread/keep" => state.spawn_thread(move || keep(upgraded, &there)),
        // `wait` signals its arrival itself, once its read is pending.
        "/thread/wait" => return state.spawn_thread(move || wait(upgraded, &there)),
        _ => panic!("{path} is not a route of this thread"),
    }
    state.signal_arrival();
}

/// Echoes [`PING`] once, then drops the connection on this thread.
fn echo(upgraded: Upgraded) -> ThreadOutcome {
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

/// Runs the future on a thread that is not a worker, with tokio's timers and I/O.
pub(crate) async fn run<F>(future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    });
    RUNTIME.spawn(future).await.unwrap();
}

/// Writes more than all buffers hold while the client reads, then drops the connection without a
/// shutdown.
fn write_and_drop(upgraded: Upgraded) -> ThreadOutcome {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut io = TokioIo::new(upgraded);
        let written = io.write_all(&pattern(MUCH)).await;
        [written, io.flush().await]
    })
}

/// Writes until the peer stops reading, then drops the connection.
fn stall_and_drop(upgraded: Upgraded) -> ThreadOutcome {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut io = TokioIo::new(upgraded);
        let stalls = async { while io.write_all(&[7; 64 * 1024]).await.is_ok() {} };
        // Kernel buffers take megabytes before a write stalls.
        let stalled = timeout(Duration::from_millis(200), stalls).await;
        assert!(
            stalled.is_err(),
            "a write failed although the peer was still connected"
        );
        [Ok(()), Ok(())]
    })
}

/// Panics while it owns the connection.
fn panic(upgraded: Upgraded) -> ThreadOutcome {
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _upgraded = upgraded;
        panic!("{DELIBERATE} on another thread")
    }));
    caught.unwrap_or([Ok(()), Ok(())])
}

/// Waits in a read that never completes, then tries to write.
fn wait(upgraded: Upgraded, state: &State) -> ThreadOutcome {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut io = TokioIo::new(upgraded);
        let read = {
            let mut byte = [0];
            let mut read = pin!(io.read_exact(&mut byte));
            assert!(poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
            state.signal_arrival();
            read.await.map(drop)
        };
        let written = io.write_all(b"too late").await;
        [read, written]
    })
}

/// Polls a read once, which stays pending, and keeps the connection.
fn keep(upgraded: Upgraded, state: &State) -> ThreadOutcome {
    let mut io = TokioIo::new(upgraded);
    let mut byte = [0];
    let mut cx = Context::from_waker(Waker::noop());
    let read = pin!(io.read(&mut byte)).poll(&mut cx);
    assert!(
        read.is_pending(),
        "expected a pending read, since the client sends nothing; got {read:?}"
    );
    *state.kept_upgraded.lock().unwrap() = Some(io.into_inner());
    [Ok(()), Ok(())]
}

/// Drops the connection at once.
fn drop_it(upgraded: Upgraded) -> ThreadOutcome {
    drop(upgraded);
    [Ok(()), Ok(())]
}
