//! Requests that are dropped at any of their polls.
use crate::{
    kit::{Kit, get, text},
    server::{OK, Script, answer_all, read_head},
};
use futures_util::future::join_all;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, task::yield_now};

/// Drops a future after this many polls. Its output is whether the future was ready before.
struct DropAfter<F> {
    future: Option<Pin<Box<F>>>,
    polls: usize,
}

impl<F: Future> Future for DropAfter<F> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        if self.polls == 0 {
            self.future = None;
            return Poll::Ready(false);
        }
        self.polls -= 1;
        let Some(future) = &mut self.future else {
            return Poll::Ready(false);
        };
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        if self.polls == 0 {
            self.future = None;
            return Poll::Ready(false);
        }
        Poll::Pending
    }
}

/// With a request in each stage, one is dropped after each number of polls; those behind it are
/// served.
pub(crate) async fn request_dropped_at_any_poll_leaves_nothing<K: Kit>(kit: K) {
    // A request that comes before the response of the last one was sent: the connection is used
    // twice at once.
    let twice = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&twice);
    let script = Script::start(move |mut stream, _| {
        let seen = Arc::clone(&seen);
        async move {
            loop {
                read_head(&mut stream).await?;
                for _ in 0..3 {
                    yield_now().await;
                }
                if stream.try_read(&mut [0]).is_ok_and(|bytes| bytes > 0) {
                    seen.store(true, Ordering::SeqCst);
                }
                stream.write_all(OK).await?;
            }
        }
    });
    for cap in [1, 2] {
        let builder = kit.builder().max_per_origin(cap);
        let client = kit.build(builder.head_timeout(Duration::from_secs(600)));
        let mut finished = 0;
        for polls in 0..100 {
            let dropped = (0..4).map(|_| DropAfter {
                future: Some(Box::pin(text(&client, get(&script.uri("/dropped"))))),
                polls,
            });
            let behind = (0..4).map(|_| text(&client, get(&script.uri("/behind"))));
            let (dropped, behind) =
                futures_util::future::join(join_all(dropped), join_all(behind)).await;
            for result in behind {
                assert_eq!(result.unwrap(), "ok", "after {polls} polls");
            }
            let counts = client.counts();
            assert!(
                counts.idle + counts.active + counts.connecting <= cap,
                "{counts:?}"
            );
            assert!(!twice.load(Ordering::SeqCst), "after {polls} polls");
            kit.wait_until("nothing is left", || {
                let counts = client.counts();
                counts.waiting == 0 && counts.active == 0 && counts.connecting == 0
            })
            .await;
            finished = dropped.into_iter().filter(|is_ready| *is_ready).count();
            if finished == 4 {
                break;
            }
        }
        assert_eq!(finished, 4, "no request was finished within its polls");
    }
}

/// The response has come, and nobody takes it.
pub(crate) async fn request_dropped_after_its_response_frees_its_connection<K: Kit>(kit: K) {
    let script = Script::start(|stream, _| answer_all(stream));
    let client = kit.client();
    for _ in 0..3 {
        let mut request = Box::pin(client.send(get(&script.uri("/"))));
        while client.counts().active == 0 {
            if let Poll::Ready(result) = futures_util::poll!(request.as_mut()) {
                // On a busy machine, the response has come within this poll. Another request waits.
                drop(result.unwrap());
                kit.wait_until_free(&client).await;
                request = Box::pin(client.send(get(&script.uri("/"))));
            }
            kit.timer().sleep(Duration::from_millis(1)).await;
        }
        // Long enough on most machines. If it is not, the response comes after the request.
        kit.timer().sleep(Duration::from_millis(50)).await;
        drop(request);
        kit.wait_until("the connection is free", || client.counts().active == 0)
            .await;
    }
}
