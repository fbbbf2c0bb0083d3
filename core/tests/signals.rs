//! Signals are heeded from the moment that they're asked for, and two at once are one wish.
#![cfg(all(unix, feature = "tokio"))]

use anyport_core::shutdown;
use rustix::process::{Signal, getpid, kill_process};
use std::time::Duration;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::yield_now,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// One test for all of it, since signals are the whole process's. If it fails, a signal may end the
/// process instead.
#[tokio::test]
async fn a_signal_before_the_first_poll_counts_and_its_twin_does_not() {
    let mut interrupts = signal(SignalKind::interrupt()).unwrap();
    let asked = shutdown::signal();
    kill_process(getpid(), Signal::TERM).unwrap();
    timeout(PATIENCE, asked).await.unwrap();

    kill_process(getpid(), Signal::INT).unwrap();
    timeout(PATIENCE, interrupts.recv()).await.unwrap();
    // Whoever else waits for it has been woken too, and is run now.
    for _ in 0..10 {
        yield_now().await;
    }
}
