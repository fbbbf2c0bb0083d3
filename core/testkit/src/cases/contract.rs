//! The rules of the contract, one by one. They run before all other cases, one after the other, so
//! the first failure names the rule that a transport breaks.
use crate::{
    app::script::Script,
    client::{Client, get},
    harness::{
        any_subject::AnySubject,
        case::cases,
        test_server::TestServer,
        watch::{self, awaiting},
    },
};
use std::{future::Future, time::Duration};
use tokio::time::timeout;

cases![
    every_worker_gets_a_socket under SOCKETS,
    first_client_is_accepted_and_echoed under READ_WAKERS,
    second_client_is_accepted_and_echoed under ACCEPT_WAKERS,
    long_message_is_read_in_pieces under NO_BYTE_IS_LOST,
    slices_of_a_vectored_write_all_arrive needs VectoredWrite under VECTORED,
    shutdown_ends_the_stream_before_the_drop under SHUTDOWN,
    connection_works_on_a_plain_thread under ANY_THREAD,
    http_request_gets_its_response under NO_BYTE_IS_LOST,
];

/// How long a case waits for one step.
const WAIT: Duration = Duration::from_secs(10);

/// More workers than a listening socket that is not cloned allows.
const WORKERS: usize = 3;

/// Waits for a step. `None` means that it is not done in time.
async fn within<T>(what: &'static str, step: impl Future<Output = T>) -> Option<T> {
    timeout(WAIT * watch::wait_factor(), awaiting(what, step))
        .await
        .ok()
}

/// Fails: a step is not done in time.
fn not_done(seen: &str) -> ! {
    panic!("not done after {:?}: {seen}", WAIT * watch::wait_factor())
}

async fn connect(server: &TestServer) -> Client {
    let connecting = within("a connection to the server", server.connect()).await;
    let Some(io) = connecting else {
        not_done("the client waits for its connection")
    };
    Client::new(io)
}

async fn every_worker_gets_a_socket(subject: AnySubject) {
    // Workers of the ambient runtime are tasks, of which there is one.
    let workers = subject.has_worker_threads().then_some(WORKERS);
    let server = subject.raw_noted(Script::Echo, |server| match workers {
        Some(workers) => server.workers(workers),
        None => server,
    });
    assert_eq!(
        server.handle.endpoints().len(),
        1,
        "the number of endpoints"
    );
}

/// Asserts that a client is accepted, and gets four bytes back. If it does not, the drain makes the
/// server poll the connection once more, which tells a lost wake-up from lost bytes.
async fn assert_echoed(server: &TestServer) {
    let mut client = connect(server).await;
    match within("the first bytes of the server", client.exactly(5)).await {
        Some(Ok(first)) => assert_eq!(first, "ready", "the first bytes of the server"),
        Some(Err(error)) => {
            panic!("the server wrote 5 bytes to the client, which instead got: {error}")
        }
        None if server.handle.connections() == 0 => not_done(
            "the client is connected, and the server has not accepted it. `poll_accept` is \
             pending, or it was not polled again because its waker was not woken",
        ),
        None => not_done("the server wrote and flushed 5 bytes, and the client got none"),
    }
    client.try_send("ping").await.unwrap();
    match within("the echo of 4 bytes", client.exactly(4)).await {
        Some(Ok(echo)) if echo == "late" => panic!("the server has begun to drain by itself"),
        Some(Ok(echo)) => return assert_eq!(echo, "ping", "the echo"),
        Some(Err(error)) => {
            panic!("the client sent 4 bytes, and instead of their echo it got: {error}")
        }
        None => {}
    }
    drop(server.handle.shutdown(8 * WAIT));
    let late = within("the echo after the drain began", client.exactly(9)).await;
    match late {
        Some(Ok(late)) if late == "late ping" => not_done(
            "the client sent 4 bytes, and `poll_read` stayed pending. When the server polled it \
             again, the bytes were there: their arrival had not woken the waker of the pending \
             `poll_read`",
        ),
        _ => not_done(
            "the client sent 4 bytes, and nothing came back, not even when the server polled \
             the connection again",
        ),
    }
}

async fn first_client_is_accepted_and_echoed(subject: AnySubject) {
    assert_echoed(&subject.raw_noted(Script::EchoAlsoOnDrain, |server| server)).await;
}

async fn second_client_is_accepted_and_echoed(subject: AnySubject) {
    let server = subject.raw_noted(Script::EchoAlsoOnDrain, |server| server);
    assert_echoed(&server).await;
    assert_echoed(&server).await;
}

async fn long_message_is_read_in_pieces(subject: AnySubject) {
    const MESSAGE: &str = "0123456789";
    let server = subject.raw_noted(Script::EchoInPieces, |server| server);
    let mut client = connect(&server).await;
    client.try_send(MESSAGE).await.unwrap();
    let mut got = Vec::new();
    let all = async {
        while got.len() < MESSAGE.len() {
            match client.exactly(1).await {
                Ok(byte) => got.extend_from_slice(&byte),
                Err(_) => break,
            }
        }
    };
    let done = within("the echo of 10 bytes", all).await.is_some();
    let got = String::from_utf8_lossy(&got);
    assert!(
        got == MESSAGE,
        "the client sent {MESSAGE:?} at once, and the server read it with a buffer of 3 bytes; \
         its echo is {got:?}{}. The rest of a message that does not fit into the buffer is lost",
        if done {
            ""
        } else {
            ", and then nothing for 10s"
        },
    );
}

async fn slices_of_a_vectored_write_all_arrive(subject: AnySubject) {
    let server = subject.raw_noted(Script::VectoredWrite, |server| server);
    let mut client = connect(&server).await;
    let Some(got) = within("the end of the stream", client.read_to_close()).await else {
        not_done("the server wrote three slices and ended the stream")
    };
    assert_ne!(
        got, "no",
        "`is_write_vectored` returns false, so a head and a body are copied together before they \
         are written. If the transport has no vectored writes, it declares \
         `Capabilities::all().without(Capability::VectoredWrite)`"
    );
    assert_eq!(
        got, "one two three",
        "`poll_write_vectored` got the slices \"one \", \"two \", \"three\"; the server wrote again \
         what was not counted as written, and this arrived"
    );
}

async fn shutdown_ends_the_stream_before_the_drop(subject: AnySubject) {
    let server = subject.raw_noted(Script::ShutDownAndStay, |server| server);
    let mut client = connect(&server).await;
    let Some(got) = within("the end of the stream", client.read_to_close()).await else {
        not_done(
            "`poll_shutdown` was ready, and the client's read does not reach the end of the \
             stream, while the server keeps the connection",
        )
    };
    assert_eq!(got, "bye", "what arrived before the end of the stream");
}

async fn connection_works_on_a_plain_thread(subject: AnySubject) {
    let server = subject.raw_noted(Script::EchoOnPlainThread, |server| server);
    let mut client = connect(&server).await;
    let echo = async {
        client.try_send("ping").await?;
        client.exactly(4).await
    };
    match within("the echo of 4 bytes", echo).await {
        Some(Ok(echo)) => assert_eq!(echo, "ping", "the echo"),
        Some(Err(error)) => panic!(
            "the connection was polled on a thread without a runtime, as an app does with an \
             upgraded one; the client sent 4 bytes, and instead of their echo it got: {error}"
        ),
        None => not_done(
            "the connection was polled on a thread without a runtime, as an app does with an \
             upgraded one; the client sent 4 bytes, and nothing came back",
        ),
    }
}

async fn http_request_gets_its_response(subject: AnySubject) {
    let server = subject.serve_configured(|server| server.observer(watch::Notes::new()));
    let mut client = connect(&server).await;
    let exchange = async {
        client.try_send(get("/")).await?;
        client.try_response().await
    };
    match within("the response to a GET", exchange).await {
        Some(Ok(response)) => assert_eq!(response.status, 200, "{response:?}"),
        Some(Err(error)) => panic!("the client sent a GET, and instead of a response got: {error}"),
        None => not_done("the client sent a GET and got no response"),
    }
}
