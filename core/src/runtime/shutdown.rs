//! Signals that begin a shutdown: SIGTERM and SIGINT.
use super::lock;
use std::{
    future::{self, Future},
    io,
    sync::{
        Mutex,
        atomic::{AtomicI32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Handle};

/// A different signal within this time is part of the same request, because supervisors send SIGINT
/// and SIGTERM together.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// The number of the first signal, or 0.
static FIRST: AtomicI32 = AtomicI32::new(0);

/// The number of the signal that [`signal`] has received, so that another one ends the process. 0:
/// none yet.
#[cfg(feature = "tracing")]
pub(crate) fn first_signal() -> i32 {
    FIRST.load(Ordering::Relaxed)
}

/// Ready at the first SIGTERM or SIGINT (on systems other than Unix: Ctrl-C). Pass it to
/// [`with_graceful_shutdown`](crate::Server::with_graceful_shutdown).
///
/// It works on every runtime. Inside a tokio runtime, this call installs the handlers, so no later
/// signal is missed. Otherwise the first poll of the future installs them. If that is outside of a
/// tokio runtime, too, a thread is started that waits for signals. The handlers stay installed for
/// the rest of the process.
///
/// A *second* signal ends the process at once with status 128 + its number, as if it were not
/// handled: Ctrl-C twice does not wait for the grace. A different signal within a second of the
/// first does not count, because some supervisors send both. If the handlers were installed inside
/// a tokio runtime, that runtime must still run to notice the second signal.
///
/// ```no_run
/// # use anyport_core::{Result, Server, runtime::shutdown};
/// # async fn f(server: Server) -> Result<()> {
/// server.with_graceful_shutdown(shutdown::signal()).await
/// # }
/// ```
///
/// # Panics
///
/// If the handlers cannot be installed (sigaction(2)), or their thread cannot be started.
#[must_use = "an unpolled future keeps the signals from ending the process"]
pub fn signal() -> impl Future<Output = ()> + Send {
    let installed = Handle::try_current().is_ok().then(Signals::installed);
    async move {
        let mut signals = installed.unwrap_or_else(Signals::installed);
        let first = signals.next().await;
        FIRST.store(first, Ordering::Relaxed);
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

/// The tokio that waits for the signals: the one around this thread, or one on a thread of its own.
fn runtime() -> io::Result<Handle> {
    static OWN: Mutex<Option<Handle>> = Mutex::new(None);
    if let Ok(around) = Handle::try_current() {
        return Ok(around);
    }
    let mut own = lock(&OWN);
    if let Some(own) = &*own {
        return Ok(own.clone());
    }
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("anyport-signals".into())
        .spawn(move || runtime.block_on(future::pending::<()>()))?;
    *own = Some(handle.clone());
    Ok(handle)
}

#[cfg(unix)]
impl Signals {
    fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = runtime()?;
        let _entered = runtime.enter();
        Ok(Self {
            runtime: runtime.clone(),
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The number of the next signal.
    async fn next(&mut self) -> i32 {
        use tokio::signal::unix::SignalKind;
        future::poll_fn(|cx| {
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
        let runtime = runtime()?;
        let _entered = runtime.enter();
        Ok(Self {
            runtime: runtime.clone(),
            interrupt: tokio::signal::windows::ctrl_c()?,
        })
    }

    async fn next(&mut self) -> i32 {
        self.interrupt.recv().await;
        2
    }
}
