//! The cases, which every transport must pass.
mod accept_queue;
mod app_failures;
mod bad_input;
mod blocked_worker;
mod byte_stream;
mod conformance;
mod content;
mod contract;
mod cross_thread;
mod drain;
mod drain_stalled_peers;
mod forwarding;
mod h2_early_responses;
mod h2_stalled_peers;
mod h2_stream_errors;
mod half_close;
mod hibernating;
mod hibernation;
mod host;
mod http1;
mod http2;
mod idle_cost;
mod idle_probing;
mod lifecycle;
mod limits;
mod lingering_close;
mod observer;
mod resuming;
mod slow_peers;
mod slow_readers;
mod tasks;
mod timeouts;
mod unread_bodies;
mod upgrade;
mod uploads;
mod wait_futures;
mod while_responding;
mod workers;

use crate::harness::{
    case::Group,
    contract::{
        ACCEPT_CANCEL, ANY_THREAD, FLUSH, FORWARDS, HALF_CLOSE, IO_ERRORS, NO_BYTE_IS_LOST,
        READ_WAKERS, READABLE, RELEASE, RETRY_WRITE, SHUTDOWN, STOP, Topic,
    },
};

/// Declares the groups: a file, what its cases ask of a transport, and a sentence of the contract.
macro_rules! groups {
    ($($file:ident under $clause:ident: $asks:literal;)+) => {
        &[$(Group {
            name: stringify!($file),
            topic: Topic { asks: $asks, clause: $clause },
            cases: $file::CASES,
        }),+]
    };
}

/// All cases. Those of `contract` run first, one after the other, then those of `byte_stream`. If
/// one of these fails, the others do not run.
pub(crate) const GROUPS: &[Group] = groups! {
    contract under NO_BYTE_IS_LOST:
        "A rule of the contract, by itself, in the smallest situation that shows it.";
    byte_stream under NO_BYTE_IS_LOST:
        "Bytes go through a connection in both directions, whole and in order, and each end \
         notices the end of the other.";
    forwarding under FORWARDS:
        "A wrapper forwards every method that it does not change.";
    http1 under NO_BYTE_IS_LOST:
        "The connection carries HTTP/1, in whatever pieces the bytes arrive.";
    http2 under NO_BYTE_IS_LOST:
        "The connection carries HTTP/2: both directions are busy at the same time.";
    host under NO_BYTE_IS_LOST:
        "The connection carries a request and its error response.";
    conformance under NO_BYTE_IS_LOST:
        "The connection carries unusual and invalid HTTP/1, byte for byte.";
    content under SHUTDOWN:
        "The end of a connection arrives where it ends a response.";
    unread_bodies under NO_BYTE_IS_LOST:
        "The connection still works while the server leaves received bytes unread.";
    half_close under HALF_CLOSE:
        "A client may end its sending half, and still receive.";
    bad_input under IO_ERRORS:
        "A client that sends garbage or disconnects affects only its own connection.";
    app_failures under NO_BYTE_IS_LOST:
        "The connection carries the responses of an app that fails.";
    upgrade under NO_BYTE_IS_LOST:
        "An upgraded connection carries bytes like any other.";
    cross_thread under ANY_THREAD:
        "An upgraded connection works on a thread that is not its worker's.";
    limits under RELEASE:
        "A connection counts against the limits until it is closed, and its peer is known when \
         it is accepted.";
    timeouts under READABLE:
        "A connection waits quietly, and is closed when the server drops it.";
    while_responding under READABLE:
        "The server notices a client that disconnects while a response is in progress.";
    uploads under NO_BYTE_IS_LOST:
        "A read fills a large buffer if many bytes have arrived.";
    idle_cost under READABLE:
        "A connection that waits wakes no task.";
    blocked_worker under READABLE:
        "Bytes that arrive while the worker is blocked are seen before its timeouts fire.";
    slow_peers under FLUSH:
        "A write is pending while the client reads nothing, and continues when it reads.";
    slow_readers under RETRY_WRITE:
        "A client that reads slowly is seen to make progress.";
    h2_stalled_peers under FLUSH:
        "A write is pending while the client reads nothing, and continues when it reads.";
    h2_early_responses under NO_BYTE_IS_LOST:
        "Both directions work at the same time.";
    h2_stream_errors under NO_BYTE_IS_LOST:
        "Both directions work at the same time.";
    observer under RELEASE:
        "Each connection is accepted once, and closed once.";
    hibernation under READABLE:
        "A connection can wait without a buffer, and go on when bytes arrive.";
    resuming under READABLE:
        "A connection that waited without a buffer goes on where it stopped.";
    hibernating under READABLE:
        "A connection that waits without a buffer notices the end of its client.";
    idle_probing under READABLE:
        "A connection can wait without a buffer, and go on when bytes arrive.";
    lifecycle under STOP:
        "The listener works from the start of the server to its end, and refuses clients \
         afterwards.";
    drain under STOP:
        "In a drain, no accepted connection is lost, and new clients are refused.";
    drain_stalled_peers under RELEASE:
        "In a drain, connections are closed when the server drops them.";
    lingering_close under SHUTDOWN:
        "A connection that is closed delivers its last bytes first.";
    accept_queue under ACCEPT_CANCEL:
        "Clients that are queued when a drain begins are accepted.";
    wait_futures under RELEASE:
        "A server ends, and frees what waits for its end.";
    tasks under READ_WAKERS:
        "The runtime polls each task that was woken, also from another thread.";
    workers under ACCEPT_CANCEL:
        "Each worker accepts clients, whatever the others do.";
};
