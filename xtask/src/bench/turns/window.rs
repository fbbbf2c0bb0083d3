//! One window: a fresh process, warmed up, and what it used while it answered for a second.

use super::Course;
use super::noise::{Noise, Sample};
use crate::bench::build::Binaries;
use crate::bench::server::Server;
use crate::bench::session::Session;
use crate::bench::target::{Allocator, Target};
use anyhow::Context as _;
use anyport_bench_load::Amount;
use std::ffi::OsString;
use std::time::{Duration, Instant};

const WARM_UP: Duration = Duration::from_millis(300);
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// What a window brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Microseconds of CPU time that each took.
    pub(super) time: f64,
    /// How many there were in a second.
    pub(super) rate: f64,
    /// The share of the window in which the server had something to do.
    pub(super) busy: f64,
    pub(super) noise: Noise,
}

/// Where load and server run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The load, which is this thread, on a core of its own; the server on the one of this number.
    Apart { server: usize },
    /// There's one core only.
    Shared,
}

impl Place {
    /// Pins this thread, if there's a core left for the server.
    pub(super) fn pin() -> Self {
        match core_affinity::get_core_ids().unwrap_or_default()[..] {
            [server, load, ..] if core_affinity::set_for_current(load) => Self::Apart { server: server.id },
            _ => Self::Shared,
        }
    }

    fn wrapper(self) -> Vec<OsString> {
        match self {
            Self::Apart { server } => ["taskset", "-c", &server.to_string()]
                .map(OsString::from)
                .to_vec(),
            Self::Shared => Vec::new(),
        }
    }
}

pub(super) fn measure(
    session: &Session,
    binaries: &Binaries,
    target: Target,
    place: Place,
    course: &Course,
) -> anyhow::Result<Window> {
    let mut server = session.start(binaries, target, Allocator::Mimalloc, &place.wrapper())?;
    let window = load(session, target, &server, course).map_err(|error| server.explain(error))?;
    server.stop()?;
    Ok(window)
}

fn load(session: &Session, target: Target, server: &Server, course: &Course) -> anyhow::Result<Window> {
    let mut load = (course.load)(course, target, server.address(), &session.patience)?;
    load.run(Amount::For(WARM_UP))?;
    let before = Sample::take(server.pid())?;
    let begun = Instant::now();
    let done = load.run(Amount::For(WINDOW))? as f64;
    let seconds = begun.elapsed().as_secs_f64();
    let after = Sample::take(server.pid())?;
    let nanoseconds = after
        .server
        .checked_sub(before.server)
        .context("a thread of the server ended, and its CPU time can't be told")?;
    Ok(Window {
        time: nanoseconds as f64 / 1000.0 / done,
        rate: done / seconds,
        busy: nanoseconds as f64 / 1e9 / seconds,
        noise: Noise::between(&before, &after),
    })
}
