//! When to shut down: signals, for those who want them.
#[cfg(feature = "tokio")]
use std::io;

/// Ready at the first SIGTERM or SIGINT (elsewhere than on Unix: Ctrl-C). For
/// [`with_graceful_shutdown`](crate::Server::with_graceful_shutdown).
///
/// A *second* signal ends the process at once, with status 128 + its number, as if nobody handled it: who presses Ctrl-C twice
/// doesn't want to wait for the grace.
///
/// The handlers are installed when the future is first polled, which has to be inside a tokio runtime; they stay for the
/// rest of the process.
///
/// # Panics
///
/// If the handlers can't be installed (sigaction(2)).
#[cfg(feature = "tokio")]
pub async fn signal() {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => panic!("cannot handle SIGTERM and SIGINT: {error}"),
    };
    signals.next().await;
    tokio::spawn(async move {
        let number = signals.next().await;
        std::process::exit(128 + number);
    });
}

#[cfg(all(feature = "tokio", unix))]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(all(feature = "tokio", unix))]
impl Signals {
    fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The number of the next signal.
    async fn next(&mut self) -> i32 {
        use tokio::signal::unix::SignalKind;
        std::future::poll_fn(|cx| {
            if self.interrupt.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(SignalKind::interrupt().as_raw_value());
            }
            self.terminate
                .poll_recv(cx)
                .map(|_| SignalKind::terminate().as_raw_value())
        })
        .await
    }
}

#[cfg(all(feature = "tokio", not(unix)))]
struct Signals;

#[cfg(all(feature = "tokio", not(unix)))]
impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> i32 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => 2,
            Err(error) => panic!("cannot handle Ctrl-C: {error}"),
        }
    }
}
