//! The workloads.

use anyport_bench_load::{Handshake, Kind as Load, Workload};

/// A workload, as the command line and the tables name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) connections: usize,
    /// What the figures count.
    pub(super) each: &'static str,
    pub(super) about: &'static str,
}

/// How it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As many requests, connections or handshakes as the server can serve.
    Busy(Load),
    /// The same over HTTP/2, by h2load.
    Http2,
    /// The mix of a public server.
    Mixed,
    /// Memory of idle connections.
    Idle(Workload),
    /// User instructions and allocations, by callgrind.
    Instructions(Workload),
    /// System calls, by perf.
    Syscalls(Workload),
}

/// Each line has the name, the kind, the connections, what the figures count, and a description.
macro_rules! scenarios {
    ($($name:literal $kind:expr, $connections:literal, $each:literal, $about:literal;)*) => {
        &[$(Scenario {
            name: $name,
            kind: $kind,
            connections: $connections,
            each: $each,
            about: $about,
        }),*]
    };
}

const fn keep_alive(workload: Workload) -> Kind {
    Kind::Busy(Load::KeepAlive(workload))
}

const FULL: Kind = Kind::Busy(Load::Handshakes(Handshake::Full));
const RESUMED: Kind = Kind::Busy(Load::Handshakes(Handshake::Resumed));

/// All workloads, in the order of the tables.
pub(super) static ALL: &[Scenario] = scenarios! {
    "plaintext" keep_alive(Workload::Plaintext), 64, "request", "`GET /`: 13 bytes of text";
    "plaintext-1" keep_alive(Workload::Plaintext), 1, "request",
        "the same on one connection";
    "headers" keep_alive(Workload::Headers), 64, "request",
        "the same with the twelve headers of a browser";
    "json" keep_alive(Workload::Json), 64, "request",
        "`GET /json`: an object that is serialized each time";
    "echo-4k" keep_alive(Workload::Echo), 64, "request", "`POST /echo`: 4 KiB that are sent back";
    "download-64k" keep_alive(Workload::Download64K), 16, "request", "`GET /download/64k`";
    "download-1m" keep_alive(Workload::Download1M), 16, "request", "`GET /download/1m`";
    "discard-64k" keep_alive(Workload::Discard64K), 16, "request",
        "`POST /discard`: a body that is read and dropped";
    "discard-16m" keep_alive(Workload::Discard16M), 4, "request", "the same with 16 MiB";
    "collect-64k" keep_alive(Workload::Collect64K), 16, "request",
        "`POST /upload`: a body that is collected";
    "collect-16m" keep_alive(Workload::Collect16M), 4, "request", "the same with 16 MiB";
    "layers" keep_alive(Workload::Layers), 64, "request",
        "`GET /layers`: an axum route with tower-http layers";
    "websocket-16" keep_alive(Workload::WebSocket16), 64, "message",
        "`GET /websocket`: text of 16 bytes that is echoed";
    "websocket-4k" keep_alive(Workload::WebSocket4K), 64, "message", "the same with 4 KiB";
    "websocket-1m" keep_alive(Workload::WebSocket1M), 4, "message", "the same with 1 MiB";
    "plaintext-h2" Kind::Http2, 16, "request",
        "`GET /` over HTTP/2, eight at a time on each connection";
    "churn" Kind::Busy(Load::Churn), 16, "connection", "a new connection for each `GET /`";
    "handshakes-full" FULL, 16, "handshake", "full TLS 1.3 handshakes";
    "handshakes-resumed" RESUMED, 16, "handshake", "TLS 1.3 handshakes with a ticket";
    "mixed" Kind::Mixed, 40, "response",
        "kept-alive and new connections, 13 bytes to 1 MiB, slow readers";
    "idle" Kind::Idle(Workload::Plaintext), 1000, "connection", "idle connections";
    "idle-websocket" Kind::Idle(Workload::WebSocket16), 1000, "connection",
        "idle WebSockets";
    "instructions" Kind::Instructions(Workload::Plaintext), 8, "request",
        "`GET /`, counted by callgrind";
    "syscalls" Kind::Syscalls(Workload::Plaintext), 64, "request", "`GET /`, counted by perf";
    "instructions-upload" Kind::Instructions(Workload::Discard16M), 4, "upload",
        "`POST /discard` with 16 MiB, counted by callgrind";
    "syscalls-upload" Kind::Syscalls(Workload::Discard16M), 4, "upload",
        "`POST /discard` with 16 MiB, counted by perf";
};

/// The workload with this name.
pub(super) fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// Whether its figures depend on time.
    pub(super) fn is_timed(&self) -> bool {
        !(self.is_idle() || self.is_counted())
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.kind, Kind::Idle(_))
    }

    pub(super) fn is_counted(&self) -> bool {
        matches!(self.kind, Kind::Instructions(_) | Kind::Syscalls(_))
    }

    pub(super) fn is_handshake(&self) -> bool {
        matches!(self.kind, Kind::Busy(Load::Handshakes(_)))
    }

    pub(super) fn needs_valgrind(&self) -> bool {
        matches!(self.kind, Kind::Instructions(_))
    }

    pub(super) fn is_websocket(&self) -> bool {
        self.workload().is_websocket()
    }

    /// h2load opens its connections anew for each run, so targets do not take turns in slices.
    pub(super) fn is_http2(&self) -> bool {
        self.kind == Kind::Http2
    }

    /// Whether the peak memory of the server is a figure.
    pub(super) fn has_peak(&self) -> bool {
        let large = |of: Workload| of.upload().max(of.response_body().len()) > 4096;
        self.kind == Kind::Mixed
            || matches!(self.kind, Kind::Busy(Load::KeepAlive(workload)) if large(workload))
    }

    /// The request and its response.
    pub(super) fn workload(&self) -> Workload {
        match self.kind {
            Kind::Busy(Load::KeepAlive(workload))
            | Kind::Idle(workload)
            | Kind::Instructions(workload)
            | Kind::Syscalls(workload) => workload,
            _ => Workload::Plaintext,
        }
    }
}
