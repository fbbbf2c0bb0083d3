//! The report of a drain.
use std::{fmt, ops::AddAssign};

/// The connections that were open when a drain began, or were accepted during it, by their end.
///
/// ```text
/// drained: 211 completed, 0 aborted; 3 were upgraded
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Ended gracefully within the grace: after a response, as idle, or by the peer. Connections
    /// that the server has closed on its side are counted here even if the peer has not closed its
    /// side.
    pub completed: usize,
    /// Closed because the peer sent nothing in the middle of a handshake, a head or a body. It has
    /// a tenth of the grace for that, but at least a second.
    pub stalled: usize,
    /// Aborted at the end of the grace.
    pub aborted: usize,
    /// The number of upgraded connections, such as WebSockets, among all of these.
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
        let were = if *upgraded == 1 { "was" } else { "were" };
        write!(f, "{aborted} aborted; {upgraded} {were} upgraded")
    }
}
