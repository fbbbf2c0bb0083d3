//! What's asked of a server, and over which HTTP.

use anyport_bench_child::Workload;

/// A workload, and what it's asked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// HTTP/1.1, or what it's upgraded to.
    Http1(Workload),
    /// Plaintext over HTTP/2: spoken from the first byte, over TLS agreed on by ALPN.
    PlaintextH2,
}

impl Scenario {
    pub(super) const PLAINTEXT: Self = Self::Http1(Workload::Plaintext);
    pub(super) const ALL: [Self; 8] = [
        Self::PLAINTEXT,
        Self::Http1(Workload::Json),
        Self::Http1(Workload::Echo),
        Self::Http1(Workload::Download64K),
        Self::Http1(Workload::Download1M),
        Self::Http1(Workload::Upload1M),
        Self::Http1(Workload::WebSocket),
        Self::PlaintextH2,
    ];

    /// As the command line and the tables call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http1(workload) => workload.name(),
            Self::PlaintextH2 => "plaintext-h2",
        }
    }

    /// The one that's called so.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// What's asked.
    pub(super) fn workload(self) -> Workload {
        match self {
            Self::Http1(workload) => workload,
            Self::PlaintextH2 => Workload::Plaintext,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Scenario, Workload};

    #[test]
    fn each_workload_is_asked() {
        for workload in Workload::ALL {
            assert!(Scenario::ALL.contains(&Scenario::Http1(workload)), "{workload}");
        }
    }
}
