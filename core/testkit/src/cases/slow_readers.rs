//! Slow readers are not cut off as stalled ones.
use crate::{
    client::get,
    harness::{attempts::in_time_of, case::cases, site::Site},
};
use anyport_core::Timeouts;
use std::time::Duration;
use tokio::time::sleep;

cases![a_slow_reader_is_not_cut_off needs RetryWrite];

/// The deadlines of the attempts: long enough for a busy machine.
const DEADLINES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];

/// How much is read at once, and how many times in a deadline. Linux calls a socket writable when a
/// third of its send buffer is free, which takes more than one deadline at this pace. A receiver
/// opens its window again when a sixteenth of its receive buffer is free, which takes three pieces.
const PIECE: usize = 128 * 1024;
const PIECES_PER_DEADLINE: u32 = 8;

async fn a_slow_reader_is_not_cut_off(site: Site) {
    in_time_of(&DEADLINES, site, |site, deadline, pace| async move {
        let timeouts = Timeouts::default().with_write_stall(deadline);
        let server = site.serve_as(|server| server.timeouts(timeouts));
        let mut client = server.client().await;
        client.send(get("/stream")).await;
        assert_eq!(client.head().await.unwrap().status, 200);
        for piece in 0..3 * PIECES_PER_DEADLINE {
            let read = client.exactly(PIECE).await;
            read.unwrap_or_else(|e| panic!("cut off after {piece} pieces: {e}"));
            pace.step();
            assert_eq!(
                server.handle.connections(),
                1,
                "cut off after {piece} pieces"
            );
            // Not to wait for anything: this client is slow by nature.
            sleep(deadline / PIECES_PER_DEADLINE).await;
        }
    })
    .await;
}
