//! The report of a drain.
use std::{fmt, ops::AddAssign};

/// What became of the connections that were open when a drain began, or came during it.
///
/// ```text
/// drained: 211 completed, 0 aborted (3 of them upgraded)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Ended by themselves within the grace: answered, closed as idle, or closed by the peer. Also
    /// those that had been told all there was for them, and whose peer hadn't closed its end.
    pub completed: usize,
    /// Closed because their peer was silent in the middle of a handshake, a head or a body, for a
    /// tenth of the grace and at least a second.
    pub stalled: usize,
    /// Still open at the end of the grace, and cut off.
    pub aborted: usize,
    /// How many of all of them had been upgraded, such as WebSockets.
    pub upgraded: usize,
}

impl AddAssign for DrainReport {
    fn add_assign(&mut self, other: Self) {
        self.completed += other.completed;
        self.stalled += other.stalled;
        self.aborted += other.aborted;
        self.upgraded += other.upgraded;
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            completed,
            stalled,
            aborted,
            upgraded,
        } = self;
        write!(f, "drained: {completed} completed, ")?;
        if *stalled > 0 {
            write!(f, "{stalled} stalled, ")?;
        }
        write!(f, "{aborted} aborted ({upgraded} of them upgraded)")
    }
}
