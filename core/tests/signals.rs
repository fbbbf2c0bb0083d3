//! A signal counts from the creation of the future. Two signals at the same time count as one.
#![cfg(all(unix, feature = "tokio"))]

use anyport_core::runtime::shutdown;
use rustix::process::{Signal, getpid, kill_process};
use std::time::Duration;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::yield_now,
    time::timeout,
};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Signals belong to the whole process, so one test covers them. If it fails, a signal may end the
/// process.
#[tokio::test]
async fn a_signal_before_the_first_poll_counts_and_its_twin_does_not() {
    let mut interrupts = signal(SignalKind::interrupt()).unwrap();
    let asked = shutdown::signal();
    kill_process(getpid(), Signal::TERM).unwrap();
    timeout(TIMEOUT, asked).await.unwrap();

    kill_process(getpid(), Signal::INT).unwrap();
    timeout(TIMEOUT, interrupts.recv()).await.unwrap();
    // The signal has also woken the other waiting tasks, which run now.
    for _ in 0..10 {
        yield_now().await;
    }
}
