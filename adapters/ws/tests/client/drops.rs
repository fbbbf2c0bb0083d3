//! Futures that are dropped after any number of polls. The server then has no connection left, as
//! its drain reports.
//!
//! A future may end in its first poll: on a busy machine, the server has answered before the client
//! asks whether it has. The next try allows more polls then, so that it waits in one of them.
use crate::subject::{Client, Subject};
use anyport_ws::Message;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

/// The output of a future, or `None` if it needs more polls than these. Then it is dropped.
async fn polled<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

pub(crate) async fn handshake_dropped_at_any_poll_leaves_nothing<S: Subject>(client: Client<S>) {
    for polls in 0..1000 {
        let opening = client.open(client.handshake("/echo"));
        if let Some(opened) = polled(polls, opening).await {
            opened.unwrap();
            if polls > 1 {
                return;
            }
        }
    }
    panic!("the handshake does not end");
}

pub(crate) async fn web_socket_dropped_at_any_poll_leaves_nothing<S: Subject>(client: Client<S>) {
    for polls in 0..1000 {
        let mut socket = client.echo().await;
        let talk = async {
            socket
                .send(Message::binary(vec![7; 300_000]))
                .await
                .unwrap();
            let echo = socket.recv().await.unwrap().unwrap();
            assert_eq!(echo.into_data().len(), 300_000);
            socket.close(None).await.unwrap();
        };
        if polled(polls, talk).await.is_some() && polls > 1 {
            return;
        }
    }
    panic!("the talk does not end");
}

pub(crate) async fn handshake_without_an_answer_dropped_at_any_poll_leaves_nothing<S: Subject>(
    client: Client<S>,
) {
    for name in ["silent", "half", "half_a_body", "long_body"] {
        for polls in 1..6 {
            let handshake = client.handshake(&format!("/{name}/all"));
            let connection = client.connect().await;
            let opening = handshake.open(connection, client.timer());
            // A wake-up for each poll.
            let mut opening = pin!(opening);
            for _ in 0..polls {
                let polled = poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx).is_ready())).await;
                if polled {
                    break;
                }
            }
        }
    }
}
