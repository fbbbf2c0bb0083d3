//! The driver that a worker waits with: io_uring, or epoll where io_uring is refused.
use crate::{
    io_uring_support::{self, Refusal, RingError},
    writability,
};
use anyport_core::{Error, Result, runtime::IoUringCall};
use io_uring::IoUring;
use monoio::{FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder, time::TimeDriver};
use std::{cell::Cell, fmt, io, os::fd::OwnedFd};

/// The driver with which a worker waits for I/O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Driver {
    /// io_uring, or epoll where io_uring is refused: by a seccomp filter,
    /// `kernel.io_uring_disabled`, or an old kernel. The server's observer receives a warning then.
    #[default]
    Auto,
    /// io_uring. Without it, the server does not start.
    IoUring,
    /// epoll.
    Epoll,
}

impl Driver {
    /// The driver of this thread's worker: [`IoUring`](Self::IoUring) or [`Epoll`](Self::Epoll).
    /// `None` on a thread without a worker.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Checks whether a worker could use this driver here. The result can decide which transport to
    /// use.
    ///
    /// # Errors
    ///
    /// If io_uring is refused, the error names the cause, where that is known, and what to change.
    /// It is also an error if no file descriptor is left.
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

/// Records the driver of this thread's worker.
pub(crate) fn set_current(driver: Driver) {
    CURRENT.set(Some(driver));
}

/// monoio's runtime, with either driver.
pub(crate) type Monoio = FusionRuntime<TimeDriver<IoUringDriver>, TimeDriver<LegacyDriver>>;

pub(crate) struct BuiltRuntime {
    pub(crate) runtime: Monoio,
    pub(crate) driver: Driver,
    /// Reports when a full send buffer has space again.
    pub(crate) epoll: OwnedFd,
    /// The reason why io_uring is not used, although it was requested.
    pub(crate) refused: Option<Refusal>,
}

pub(crate) fn build(driver: Driver) -> io::Result<BuiltRuntime> {
    let epoll = writability::create_epoll()?;
    let refused = match driver {
        Driver::Epoll => None,
        Driver::Auto | Driver::IoUring => match build_ring() {
            Ok(runtime) => {
                return Ok(BuiltRuntime {
                    runtime,
                    driver: Driver::IoUring,
                    epoll,
                    refused: None,
                });
            }
            Err(RingError::Exhausted(error)) => return Err(error),
            Err(RingError::Refused(Refusal { reason, advice })) if driver == Driver::IoUring => {
                let message = format!(
                    "io_uring is refused ({reason}): {advice}; or leave the choice to Driver::Auto"
                );
                return Err(io::Error::other(message));
            }
            Err(RingError::Refused(refusal)) => Some(refusal),
        },
    };
    let runtime = RuntimeBuilder::<LegacyDriver>::new()
        .enable_timer()
        .build()?;
    Ok(BuiltRuntime {
        runtime: runtime.into(),
        driver: Driver::Epoll,
        epoll,
        refused,
    })
}

/// The size of the completion queue. With more completions at once it overflows, and the kernel has
/// to buffer them.
const CQ_ENTRIES: u32 = 8192;

/// A ring with the flags that suit one thread, or a plain one where the kernel lacks these flags
/// (Linux before 6.0).
fn build_ring() -> std::result::Result<Monoio, RingError> {
    let build = |mut flags: io_uring::Builder| {
        flags.setup_cqsize(CQ_ENTRIES);
        RuntimeBuilder::<IoUringDriver>::new()
            .uring_builder(flags)
            .enable_timer()
            .build()
    };
    let mut flags = IoUring::builder();
    // The thread polls the ring soon by itself, so completions need no interrupt. The thread is the
    // only submitter, so the ring needs no lock.
    flags.setup_coop_taskrun().setup_single_issuer();
    let ring = build(flags).or_else(|_| build(IoUring::builder()));
    let ring = ring.map_err(|e| RingError::new(IoUringCall::Setup, e))?;
    io_uring_support::check()?;
    Ok(ring.into())
}
