//! The driver that a worker waits with: io_uring, or epoll where io_uring is refused.
use crate::{
    refusal::{self, NoRing, Refusal},
    room,
};
use anyport_core::{Error, Result, runtime::RingCall};
use io_uring::IoUring;
use monoio::{FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder, time::TimeDriver};
use std::{cell::Cell, fmt, io, os::fd::OwnedFd};

/// What a worker waits with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Driver {
    /// io_uring; epoll where that's refused (by a seccomp filter, `kernel.io_uring_disabled`, or an
    /// old kernel), which the server's observer is told.
    #[default]
    Auto,
    /// io_uring, or the server doesn't start.
    IoUring,
    /// epoll.
    Epoll,
}

impl Driver {
    /// What the worker of this thread waits with: [`IoUring`](Self::IoUring) or
    /// [`Epoll`](Self::Epoll). None, if it's no worker's thread.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Whether a worker could wait with this here, to choose a transport by it.
    ///
    /// # Errors
    ///
    /// io_uring is refused: by whom, as far as that shows, and what has to be changed. Or there's
    /// no descriptor left.
    pub fn check(self) -> Result<()> {
        match build(self) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::start("start monoio", error)),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

thread_local! {
    static CURRENT: Cell<Option<Driver>> = const { Cell::new(None) };
}

/// Notes what the worker that this thread is waits with.
pub(crate) fn enter(driver: Driver) {
    CURRENT.set(Some(driver));
}

/// monoio's runtime, on either driver.
pub(crate) type Monoio = FusionRuntime<TimeDriver<IoUringDriver>, TimeDriver<LegacyDriver>>;

/// A runtime, and what it came to.
pub(crate) struct Built {
    pub(crate) runtime: Monoio,
    pub(crate) driver: Driver,
    /// For the sockets that are full.
    pub(crate) epoll: OwnedFd,
    /// Why it's not what was hoped for.
    pub(crate) refused: Option<Refusal>,
}

/// Builds the runtime of this thread.
pub(crate) fn build(driver: Driver) -> io::Result<Built> {
    let epoll = room::epoll()?;
    let refused = match driver {
        Driver::Epoll => None,
        Driver::Auto | Driver::IoUring => match ring() {
            Ok(runtime) => {
                return Ok(Built {
                    runtime,
                    driver: Driver::IoUring,
                    epoll,
                    refused: None,
                });
            }
            Err(NoRing::Exhausted(error)) => return Err(error),
            Err(NoRing::Refused(Refusal { why, advice })) if driver == Driver::IoUring => {
                let what = format!(
                    "io_uring is refused ({why}): {advice}; or leave the choice to Driver::Auto"
                );
                return Err(io::Error::other(what));
            }
            Err(NoRing::Refused(refusal)) => Some(refusal),
        },
    };
    let runtime = RuntimeBuilder::<LegacyDriver>::new()
        .enable_timer()
        .build()?;
    Ok(Built {
        runtime: runtime.into(),
        driver: Driver::Epoll,
        epoll,
        refused,
    })
}

/// How many completions a ring holds: as many connections may have news at once, and the kernel
/// needn't put any of it aside.
const COMPLETIONS: u32 = 8192;

/// A ring with the flags that suit one thread; a plain one where the kernel doesn't know them (6.0
/// does).
fn ring() -> std::result::Result<Monoio, NoRing> {
    let build = |mut flags: io_uring::Builder| {
        flags.setup_cqsize(COMPLETIONS);
        RuntimeBuilder::<IoUringDriver>::new()
            .uring_builder(flags)
            .enable_timer()
            .build()
    };
    let mut flags = IoUring::builder();
    // No interrupt for a thread that looks by itself soon, and no lock for other submitters.
    flags.setup_coop_taskrun().setup_single_issuer();
    let ring = build(flags).or_else(|_| build(IoUring::builder()));
    let ring = ring.map_err(|e| NoRing::new(RingCall::Setup, e))?;
    refusal::detect()?;
    Ok(ring.into())
}
