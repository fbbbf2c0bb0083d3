//! The suite over transports that break the contract: the first failure names the cause.
//!
//! Each runs in a process of its own, whose output is read as the author of a transport reads it.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue panics, with its location"
)]

mod connection;
mod transport;
mod wrapper;

use anyport_core::transport::{ByteTransport, Endpoint};
use anyport_testkit::{Capabilities, Capability, Subject, Suite, requirements::Tests};
use std::{
    env, io,
    process::{Command, ExitCode},
};
use tokio::io::DuplexStream;
use transport::{Pipe, PipePerCore, connect};
use wrapper::Forgetful;

/// A fault of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    RestOfMessageLost,
    FirstSliceOnly,
    TimerOfThisThread,
    PanicInRead,
    WouldBlock,
    NoShutdown,
    WakerDropped,
    StopNotForwarded,
    TooFewSockets,
}

/// Each fault with the case that fails first, and what its text says.
const FAULTS: &[(Fault, &str, &[&str])] = &[
    (
        Fault::RestOfMessageLost,
        "contract::long_message_is_read_in_pieces",
        &[
            "its echo is \"012\", and then nothing",
            "does not fit into the buffer is lost",
            "`poll_read`: it must keep what does not fit",
        ],
    ),
    (
        Fault::FirstSliceOnly,
        "contract::slices_of_a_vectored_write_all_arrive",
        &[
            "`poll_write_vectored` got the slices",
            "left: b\"one \"",
            "counts only the bytes that it took",
        ],
    ),
    (
        Fault::TimerOfThisThread,
        "contract::connection_works_on_a_plain_thread",
        &[
            "panicked: there is no reactor running",
            "tests/faults/connection.rs:",
            "on the thread `a thread without a runtime`",
            "look at: timers, sockets or tasks that a poll creates",
        ],
    ),
    (
        Fault::PanicInRead,
        "contract::first_client_is_accepted_and_echoed",
        &[
            "panicked: the buffer is gone\n  at core/testkit/tests/faults/connection.rs:",
            "the server wrote 5 bytes to the client, which instead got: ",
        ],
    ),
    (
        Fault::WouldBlock,
        "contract::",
        &[
            "contract of `Listener`: \"An empty queue is `Pending`",
            "reported: `poll_accept` returned an error of kind `WouldBlock`",
            "look at: `poll_accept`: turn `WouldBlock` into `Poll::Pending`",
        ],
    ),
    (
        Fault::NoShutdown,
        "contract::shutdown_ends_the_stream_before_the_drop",
        &[
            "not done after 10s: `poll_shutdown` was ready",
            "contract of `Connection`: \"flushes and then ends the sending half\"",
        ],
    ),
    (
        Fault::WakerDropped,
        "contract::first_client_is_accepted_and_echoed",
        &[
            "not done after 10s: the client sent 4 bytes, and `poll_read` stayed pending",
            "had not woken the waker",
        ],
    ),
    (
        Fault::StopNotForwarded,
        "drain::stopped_listener_keeps_new_clients_out",
        &[
            "a client that connected afterwards was accepted",
            "the one of a wrapper has to call that of the inner listener",
        ],
    ),
    (
        Fault::TooFewSockets,
        "contract::every_worker_gets_a_socket",
        &[
            "the transport opened 1 sockets for 3 workers",
            "contract of `Transport::open`: \"returns exactly one socket for each",
        ],
    ),
];

/// The methods with a default that a wrapper may fail to forward.
const METHODS: &[&str] = &[
    "workers",
    "runtime_options",
    "stop",
    "classify",
    "poll_readable",
    "peer_state",
    "poll_retry_write",
    "bytes_sent",
    "reset",
    "release",
    "is_write_vectored",
    "poll_write_vectored",
];

/// Names the fault in the environment of the process that runs the suite.
const VARIABLE: &str = "ANYPORT_FAULT";

/// A transport under test, by the function that makes it.
struct Wrong<F>(F);

impl<T, F> Subject for Wrong<F>
where
    T: ByteTransport,
    F: Fn() -> T + Send + Sync + 'static,
{
    const NAME: &str = "wrong";
    type Transport = T;
    type Stream = DuplexStream;

    fn transport(&self) -> T {
        (self.0)()
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<DuplexStream> {
        connect(endpoint)
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }
}

fn forgets_stop() -> Forgetful<Pipe> {
    Forgetful::new(Pipe(Fault::StopNotForwarded), "stop")
}

fn capabilities() -> Capabilities {
    Capabilities::all()
        .without(Capability::PortZero)
        .without(Capability::PeerState)
        .without(Capability::RetryWrite)
        .without(Capability::Reset)
}

/// Runs the suite over a fault in a process of its own, which fails, and returns its output.
fn output_of(fault: &str, filter: Option<&str>) -> String {
    let suite = Command::new(env::current_exe().unwrap())
        .args(filter)
        .env(VARIABLE, fault)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&suite.stdout).into_owned();
    assert!(!suite.status.success(), "the suite passes:\n{output}");
    assert!(!output.contains("Any {"), "{output}");
    output
}

/// The text of the first failure.
fn first_failure(output: &str) -> &str {
    let (_, failures) = output.split_once("\n---- ").unwrap();
    failures.split("\n\n").next().unwrap()
}

fn assert_explained(fault: Fault, case: &str, says: &[&str]) {
    // A fault that the contract's cases do not find needs only the group that does.
    let filter = matches!(fault, Fault::StopNotForwarded).then_some("drain::");
    let output = output_of(&format!("{fault:?}"), filter);
    let first = first_failure(&output);
    assert!(first.starts_with(&format!("wrong::{case}")), "{first}");
    for part in says {
        assert!(first.contains(part), "the failure lacks {part:?}:\n{first}");
    }
    let builds_on = case.starts_with("contract::");
    let not_run = "cases were not run, because they build on cases that failed: wrong::contract::";
    assert_eq!(output.contains(not_run), builds_on, "{output}");
}

fn assert_named(method: &str) {
    let output = output_of(method, Some("forwarding::"));
    let first = first_failure(&output);
    let named = format!("did not call those of the inner transport: `{method}`.");
    // Without the trait, whose name the author of a wrapper knows.
    let first = ["Transport", "Listener", "Connection", "Write"]
        .iter()
        .fold(first.to_owned(), |text, name| {
            text.replace(&format!("`{name}::"), "`")
        });
    assert!(first.contains(&named), "{first}");
}

fn main() -> ExitCode {
    let Ok(name) = env::var(VARIABLE) else {
        let tests = FAULTS
            .iter()
            .fold(Tests::default(), |tests, (fault, case, says)| {
                let name = format!("{fault:?} is named by the first failure");
                tests.always(&name, || assert_explained(*fault, case, says))
            });
        let tests = METHODS.iter().fold(tests, |tests, method| {
            let name = format!("wrapper without {method} is named by the failure");
            tests.always(&name, || assert_named(method))
        });
        return tests.run();
    };
    if let Some(method) = METHODS.iter().find(|method| **method == name) {
        let inner = || Pipe(Fault::StopNotForwarded);
        let wrap = |inner| Forgetful::new(inner, method);
        return Suite::new()
            .with_wrapper(Wrong(forgets_stop), inner, wrap)
            .run();
    }
    let found = FAULTS
        .iter()
        .find(|(fault, ..)| format!("{fault:?}") == name);
    match found.unwrap().0 {
        Fault::StopNotForwarded => Suite::new().with(Wrong(forgets_stop)).run(),
        Fault::TooFewSockets => Suite::new().with_local(Wrong(|| PipePerCore)).run(),
        fault => Suite::new().with(Wrong(move || Pipe(fault))).run(),
    }
}
