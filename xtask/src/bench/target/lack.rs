//! What servers can't be asked for: facts of theirs, each with its reason.

use crate::bench::scenario::Scenario;
use anyport_bench_child::Workload;

/// What a server doesn't serve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lack {
    pub(super) scenarios: &'static [Scenario],
    pub(super) reason: &'static str,
}

/// Of hyper by hand on a runtime with a thread per core.
pub(super) const THREAD_BOUND: Lack = Lack {
    scenarios: &[Scenario::Http1(Workload::WebSocket)],
    reason: "hyper upgrades only what's `Send`, and the runtime's streams stay on their thread",
};

/// Of a server of files.
pub(super) const DOWNLOAD_ONLY: Lack = Lack {
    scenarios: &[
        Scenario::Http1(Workload::Echo),
        Scenario::Http1(Workload::Upload1M),
        Scenario::Http1(Workload::WebSocket),
    ],
    reason: "it runs no app: without a module or a server behind it, it sends no body back and speaks no WebSocket",
};

/// Of who doesn't read what it's asked.
pub(super) const FIXED: Lack = Lack {
    scenarios: &[
        Scenario::Http1(Workload::Json),
        Scenario::Http1(Workload::Echo),
        Scenario::Http1(Workload::Download64K),
        Scenario::Http1(Workload::Download1M),
        Scenario::Http1(Workload::Upload1M),
        Scenario::Http1(Workload::WebSocket),
        Scenario::PlaintextH2,
    ],
    reason: "it answers everything with the bytes of plaintext's answer",
};

/// Of who speaks no HTTP.
pub(super) const SILENT: Lack = Lack {
    scenarios: &Scenario::ALL,
    reason: "it answers no requests",
};
