//! The number of open connections, by kind.
use std::{fmt, ops::AddAssign};

/// The number of open connections by state; see [`Handle::open`](crate::Handle::open).
///
/// ```text
/// 5 connections (2 upgraded, 1 closing)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenConnections {
    /// Connections upgraded to another protocol, such as WebSocket.
    pub upgraded: usize,
    /// Connections that the server has closed on its side; their peers have not.
    pub closing: usize,
    /// All others: in a handshake, idle, with a request in flight, or with a raw handler. A drain
    /// closes the idle ones.
    pub others: usize,
}

impl OpenConnections {
    /// The sum of all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.upgraded + self.closing + self.others
    }
}

impl AddAssign for OpenConnections {
    fn add_assign(&mut self, other: Self) {
        self.upgraded += other.upgraded;
        self.closing += other.closing;
        self.others += other.others;
    }
}

impl fmt::Display for OpenConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "{total} connection{}", if total == 1 { "" } else { "s" })?;
        match (self.upgraded, self.closing) {
            (0, 0) => Ok(()),
            (upgraded, 0) => write!(f, " ({upgraded} upgraded)"),
            (0, closing) => write!(f, " ({closing} closing)"),
            (upgraded, closing) => write!(f, " ({upgraded} upgraded, {closing} closing)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OpenConnections;

    #[test]
    fn open_connections_are_displayed_by_state() {
        let open = |upgraded, closing, others| {
            let open = OpenConnections {
                upgraded,
                closing,
                others,
            };
            open.to_string()
        };
        assert_eq!(open(0, 0, 1), "1 connection");
        assert_eq!(open(2, 0, 0), "2 connections (2 upgraded)");
        assert_eq!(open(2, 1, 2), "5 connections (2 upgraded, 1 closing)");
        assert_eq!(open(0, 1, 0), "1 connection (1 closing)");
    }
}
