//! Peers that read slowly: they are not cut off as those that read nothing.
use crate::{attempts::in_time_of, client::get, site::Site, suite::cases};
use anyport_core::Timeouts;
use std::time::Duration;
use tokio::time::sleep;

cases![a_slow_reader_is_not_cut_off needs RetryWrite];

/// The deadlines of the attempts: long enough for a busy machine.
const DEADLINES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];

/// How much is read in a quarter of a deadline. It takes several deadlines to read a third of what the kernels of both ends hold, which is when a socket is
/// called writable.
const PIECE: usize = 128 * 1024;

async fn a_slow_reader_is_not_cut_off(site: Site) {
    in_time_of(&DEADLINES, site, |site, deadline, pace| async move {
        let timeouts = Timeouts::default().with_write_stall(deadline);
        let server = site.serve_as(|server| server.timeouts(timeouts));
        let mut client = server.client().await;
        client.send(get("/stream")).await;
        assert_eq!(client.head().await.unwrap().status, 200);
        for piece in 0..12 {
            let read = client.exactly(PIECE).await;
            read.unwrap_or_else(|e| panic!("cut off after {piece} pieces: {e}"));
            pace.step();
            assert_eq!(server.handle.connections(), 1, "cut off after {piece} pieces");
            // Not to wait for anything: this client is slow by nature.
            sleep(deadline / 4).await;
        }
    })
    .await;
}
