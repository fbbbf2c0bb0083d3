//! Peers that read slowly are not closed as if they had stalled.
use crate::{
    client::get,
    harness::{any_subject::AnySubject, case::cases, retries::retry_if_late_with},
};
use anyport_core::Timeouts;
use std::time::Duration;
use tokio::time::sleep;

cases![slow_reader_is_not_closed needs RetryWrite];

/// The timeouts of the attempts, long enough for a busy machine.
const DEADLINES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];

/// The size of a read, and the number of reads in a timeout. Linux reports a socket as writable
/// when a third of its send buffer is free, which takes more than one timeout at this rate. A
/// receiver opens its window again when a sixteenth of its receive buffer is free, which takes
/// three reads.
const PIECE: usize = 128 * 1024;
const PIECES_PER_DEADLINE: u32 = 8;

async fn slow_reader_is_not_closed(subject: AnySubject) {
    retry_if_late_with(&DEADLINES, subject, |subject, deadline, timer| async move {
        let timeouts = Timeouts::default().with_write_stall(deadline);
        let server = subject.serve_configured(|server| server.timeouts(timeouts));
        let mut client = server.client().await;
        client.send(get("/stream")).await;
        assert_eq!(client.head().await.unwrap().status, 200);
        for piece in 0..3 * PIECES_PER_DEADLINE {
            let read = client.exactly(PIECE).await;
            read.unwrap_or_else(|e| {
                panic!(
                    "expected the connection to stay open; reading failed after {piece} pieces: {e}"
                )
            });
            timer.step();
            // A listener that is being polled counts, too.
            assert_ne!(
                server.handle.connections(),
                0,
                "expected the connection to stay open; it was closed after {piece} pieces"
            );
            // The client is slow on purpose; the sleep does not wait for an event.
            sleep(deadline / PIECES_PER_DEADLINE).await;
        }
    })
    .await;
}
