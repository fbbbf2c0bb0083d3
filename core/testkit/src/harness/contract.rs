//! The sentences of the contract that the cases test, and where a transport breaks them.
//!
//! A sentence is quoted from the documentation of the trait; a test compares both.

/// A sentence of the contract.
#[derive(Debug)]
pub(crate) struct Clause {
    /// The trait or the method that makes it.
    pub(crate) of: &'static str,
    /// Quoted from the documentation.
    pub(crate) says: &'static str,
    /// Where the mistake of a transport is likely to be.
    pub(crate) look: &'static str,
}

/// What the cases of a file have in common.
#[derive(Debug)]
pub(crate) struct Topic {
    /// What they ask of a transport, as a sentence.
    pub(crate) asks: &'static str,
    /// The sentence that a transport breaks if they fail.
    pub(crate) clause: &'static Clause,
}

macro_rules! clauses {
    ($($name:ident of $of:literal: $says:literal; $look:literal)+) => {
        $(
            pub(crate) const $name: &Clause = &Clause { of: $of, says: $says, look: $look };
        )+
        #[cfg(test)]
        const ALL: &[&Clause] = &[$($name),+];
    };
}

clauses! {
    SOCKETS of "Transport::open":
        "returns exactly one socket for each of the `workers`, of which there is at least one";
        "the number of sockets that `open(workers)` returns"
    START of "Transport::listen":
        "Turns a socket into this worker's listener, inside the worker's runtime";
        "the errors of `open`, `endpoint` and `listen`"
    ENDPOINT of "Transport::endpoint":
        "The address of the socket, with port 0 resolved";
        "`endpoint`, and the local address that your `ConnInfo` gets"
    NEVER_WAITS of "Listener":
        "It accepts connections and never waits for a peer";
        "`poll_accept`, and the future `Handshake` that it returns"
    ACCEPT_CANCEL of "Listener":
        "no connection is lost if `poll_accept` has returned `Pending` and is then called with \
         another waker, or never again";
        "the state that `poll_accept` keeps while it is pending"
    ACCEPT_WAKERS of "Listener":
        "after a poll that returns `Pending`, the waker of the latest call is woken as soon as \
         there is a connection or an error";
        "`poll_accept`: before it returns `Pending`, it must register `cx.waker()`"
    EMPTY_QUEUE of "Listener":
        "An empty queue is `Pending`, never an error of kind `WouldBlock`";
        "`poll_accept`: turn `WouldBlock` into `Poll::Pending`, with the waker registered"
    ACCEPT_ERRORS of "Listener":
        "errors that a peer can cause belong in the handshake";
        "the errors of `poll_accept`, and `Listener::classify`"
    STOP of "Listener::stop":
        "From now on `poll_accept` returns only connections that the kernel has queued already, \
         and is pending after them";
        "`Listener::stop`; the one of a wrapper has to call that of the inner listener. A \
         transport that cannot refuse clients declares \
         `Capabilities::all().without(Capability::Stop)`"
    READ_WAKERS of "Connection":
        "after a poll that returns `Pending`, the waker of its latest call is woken as soon as \
         another poll would make progress";
        "`poll_read` and `poll_readable`: before one returns `Pending`, it must register \
         `cx.waker()`, and the arrival of bytes must wake it"
    NO_BYTE_IS_LOST of "Connection":
        "dropping the future of a pending read or write loses no received byte, and no byte that \
         `poll_write` accepted";
        "`poll_read`: it must keep what does not fit into the caller's buffer. `poll_write`: it \
         must return the number of bytes that it took"
    FLUSH of "Connection":
        "is ready when every accepted byte has left this process, or will leave it without \
         further polls";
        "`poll_flush`, and what `poll_shutdown` and `poll_read` do with unsent bytes"
    SHUTDOWN of "Connection":
        "flushes and then ends the sending half";
        "`poll_shutdown`: after it, the client's reads must reach the end of the stream"
    HALF_CLOSE of "Connection":
        "Reading continues until the peer ends its half (half-close)";
        "what `poll_read` returns after the client's end, and whether writes still work then"
    VECTORED of "Connection":
        "a stream that returns `true` from `is_write_vectored` writes several slices at the cost \
         of one, and counts only the bytes that it took";
        "`poll_write_vectored` and `is_write_vectored`; without the first, the second must return \
         false"
    ANY_THREAD of "Connection":
        "A poll may come from a thread without the worker's runtime";
        "timers, sockets or tasks that a poll creates: create them on the worker, in \
         `poll_accept` or in the handshake"
    READABLE of "Connection::poll_readable":
        "Ready when a read would make progress: bytes, the end of the stream, or an error";
        "`poll_readable`: it must not be ready too late, and not be ready again and again while \
         nothing arrives"
    PEER_STATE of "Connection::peer_state":
        "The state of the peer according to the system, without a read";
        "`peer_state`; a transport without it declares \
         `Capabilities::all().without(Capability::PeerState)`"
    RETRY_WRITE of "Connection::poll_retry_write":
        "Writes as much as the system accepts at once, even if the runtime does not report the \
         stream as writable";
        "`poll_retry_write`; a transport without it declares \
         `Capabilities::all().without(Capability::RetryWrite)`"
    RESET of "Connection::reset":
        "Makes the connection end with a reset (TCP RST) when it is dropped";
        "`reset`; a transport without it declares \
         `Capabilities::all().without(Capability::Reset)`"
    RELEASE of "Connection::release":
        "The connection counts against the limits until the `Permit` is dropped";
        "`release`, and what keeps a `Permit`"
    INFO of "Connection::info":
        "The facts about the connection";
        "the `ConnInfo` that your connection returns"
    IO_ERRORS of "Connection":
        "An error ends this connection and nothing else";
        "the errors and ends that `poll_read` and `poll_write` return after the client has gone"
    FORWARDS of "Transport":
        "A transport that wraps another forwards every method that it does not change, also those \
         with a default";
        "the wrapper: it lacks the method, so the default hides that of the inner transport. \
         `Transport::map_connection` and `map_handshake` forward all methods"
}

#[cfg(test)]
mod tests {
    use super::ALL;

    /// The text of doc comments, without line breaks, links and emphasis.
    fn docs(source: &str) -> String {
        let lines = source.lines().map(str::trim);
        let docs = lines.filter_map(|line| line.strip_prefix("///"));
        let text = docs.map(str::trim).collect::<Vec<_>>().join(" ");
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("](") {
            plain += before;
            rest = after.split_once(')').unwrap().1;
        }
        plain += rest;
        plain.replace(['[', ']', '*'], "")
    }

    #[test]
    fn sentences_are_quoted_from_the_traits() {
        let traits = [
            include_str!("../../../src/transport/mod.rs"),
            include_str!("../../../src/transport/listener.rs"),
            include_str!("../../../src/transport/connection.rs"),
        ];
        let docs = traits.map(docs).concat().to_lowercase();
        for clause in ALL {
            assert!(
                docs.contains(&clause.says.to_lowercase()),
                "{}",
                clause.says
            );
        }
    }
}
