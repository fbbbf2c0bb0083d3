//! A wrapper forwards what it does not change, also methods that have a default. Without such a
//! method it compiles, and the default hides that of the inner transport.
use crate::{
    client::Client,
    harness::{any_subject::AnySubject, case::cases, recorded_calls::Calls, watch::awaiting},
};
use std::time::Duration;

cases![methods_of_the_inner_transport_are_called needs Wrapper];

/// A grace that is not used up.
const GRACE: Duration = Duration::from_secs(20);

async fn methods_of_the_inner_transport_are_called(subject: AnySubject) {
    let calls = Calls::new();
    let server = subject.serve_recorded(&calls);
    let mut client = Client::new(server.connect().await);
    client.try_send("ping").await.unwrap();
    assert_eq!(client.exactly(4).await.unwrap(), "ping", "the echo");
    drop(client);
    server.wait_for_connections(0).await;
    let ended = server.handle.shutdown(GRACE);
    awaiting("the end of the drain", ended).await.unwrap();
    let missing = calls.missing();
    assert!(
        missing.is_empty(),
        "the server called these methods of the wrapper, which did not call those of the \
         inner transport: {}. {}",
        missing.join(", "),
        "Each has a default, so a wrapper compiles without it"
    );
}
