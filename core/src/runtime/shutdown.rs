//! Signals that begin a shutdown: SIGTERM and SIGINT.
use std::{
    future::Future,
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// A signal of another kind that comes so soon after the first is the same wish: supervisors send
/// SIGINT and SIGTERM together.
const SAME_WISH: Duration = Duration::from_secs(1);

static SIGNALLED: AtomicBool = AtomicBool::new(false);

/// Whether a signal has come that [`signal`] waited for, so that another one ends the process.
#[cfg(feature = "tracing")]
pub(crate) fn has_signalled() -> bool {
    SIGNALLED.load(Ordering::Relaxed)
}

/// Ready at the first SIGTERM or SIGINT (elsewhere than on Unix: Ctrl-C). For
/// [`with_graceful_shutdown`](crate::Server::with_graceful_shutdown).
///
/// The handlers are installed by this call, if it's made inside a tokio runtime, so no signal after
/// it is missed; or else when the future is first polled, which has to be inside one. They stay for
/// the rest of the process.
///
/// A *second* signal ends the process at once, with status 128 + its number, as if nobody handled
/// it: who presses Ctrl-C twice doesn't want to wait for the grace. Within a second of the first,
/// one of the other kind doesn't count, since some supervisors send both. It's the runtime that
/// notices the second signal: the one that the handlers were installed in has to run still.
///
/// # Panics
///
/// If the handlers can't be installed (sigaction(2)); if the future is polled outside of a tokio
/// runtime, and was made there.
#[must_use = "a future that nobody polls keeps the signals from ending the process"]
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
                if number == first || at.elapsed() >= SAME_WISH {
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
