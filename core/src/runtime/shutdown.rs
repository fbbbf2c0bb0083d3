//! Signals that begin a shutdown: SIGTERM and SIGINT.
use std::{
    future::Future,
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// A different signal within this time is part of the same request, because supervisors send SIGINT
/// and SIGTERM together.
const SAME_REQUEST: Duration = Duration::from_secs(1);

static SIGNALLED: AtomicBool = AtomicBool::new(false);

/// Whether [`signal`] has received a signal, so that another one ends the process.
#[cfg(feature = "tracing")]
pub(crate) fn has_signalled() -> bool {
    SIGNALLED.load(Ordering::Relaxed)
}

/// Ready at the first SIGTERM or SIGINT (on other systems than Unix: Ctrl-C). Pass it to
/// [`with_graceful_shutdown`](crate::Server::with_graceful_shutdown).
///
/// Inside a tokio runtime, this call installs the handlers, so no later signal is missed. Otherwise
/// the first poll of the future installs them, which must be inside a tokio runtime. They stay
/// installed for the rest of the process.
///
/// A *second* signal ends the process at once with status 128 + its number, as if it were not
/// handled: Ctrl-C twice does not wait for the grace. A different signal within a second of the
/// first does not count, because some supervisors send both. The runtime in which the handlers were
/// installed must still run to notice the second signal.
///
/// # Panics
///
/// If the handlers cannot be installed (sigaction(2)), or if they are to be installed by a poll
/// outside of a tokio runtime.
#[must_use = "an unpolled future keeps the signals from ending the process"]
pub fn signal() -> impl Future<Output = ()> + Send {
    let installed = Handle::try_current().is_ok().then(Signals::installed);
    async move {
        let mut signals = installed.unwrap_or_else(Signals::installed);
        let first = signals.next().await;
        SIGNALLED.store(true, Ordering::Relaxed);
        let at = Instant::now();
        let runtime = signals.runtime.clone();
        runtime.spawn(async move {
            loop {
                let number = signals.next().await;
                if number == first || at.elapsed() >= SAME_REQUEST {
                    std::process::exit(128 + number);
                }
            }
        });
    }
}

struct Signals {
    runtime: Handle,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(not(unix))]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Signals {
    fn installed() -> Self {
        match Self::install() {
            Ok(signals) => signals,
            Err(error) => panic!("cannot handle SIGTERM and SIGINT: {error}"),
        }
    }
}

#[cfg(unix)]
impl Signals {
    fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            runtime: Handle::current(),
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

#[cfg(not(unix))]
impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            runtime: Handle::current(),
            interrupt: tokio::signal::windows::ctrl_c()?,
        })
    }

    async fn next(&mut self) -> i32 {
        self.interrupt.recv().await;
        2
    }
}
