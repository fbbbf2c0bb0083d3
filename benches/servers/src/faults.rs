//! Seeded regressions. The tests show that `--check` finds each.

use anyport::{Connection, transport::Intercept};
use hyper::rt::{ReadBuf, ReadBufCursor};
use std::{
    hint::black_box,
    io,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll},
};

/// A regression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// Reads have 2 KiB at most.
    SmallReads,
    /// One more allocation per request.
    Allocation,
    /// One more system call per request.
    Syscall,
    /// 8 KiB per request that are never freed, as if the idle connection kept them.
    IdleMemory,
}

static FAULT: OnceLock<Fault> = OnceLock::new();

impl Fault {
    /// Enables this fault for the whole process.
    pub(crate) fn enable(self) {
        // Called once.
        let _ = FAULT.set(self);
    }
}

/// Whether reads are small.
pub(crate) fn has_small_reads() -> bool {
    FAULT.get() == Some(&Fault::SmallReads)
}

/// Called for each request.
pub(crate) fn apply_to_request() {
    match FAULT.get() {
        Some(Fault::Allocation) => drop(black_box(Box::new([0_u8; 64]))),
        Some(Fault::Syscall) => drop(black_box(rustix::process::getppid())),
        Some(Fault::IdleMemory) => drop(black_box(Box::leak(Box::new([1_u8; 8 * 1024])))),
        Some(Fault::SmallReads) | None => {}
    }
}

/// A connection whose reads have 2 KiB at most.
pub(crate) struct SmallReads;

impl<C: Connection> Intercept<C> for SmallReads {
    fn poll_read(
        &mut self,
        inner: Pin<&mut C>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 2048];
        let size = bytes.len().min(buffer.remaining());
        let mut small = ReadBuf::new(&mut bytes[..size]);
        let read = inner.poll_read(cx, small.unfilled());
        buffer.put_slice(small.filled());
        read
    }
}
