//! The targets of the bench.

use super::{Package, Program, Scenario, Target, Transport, Unsupported};
use Transport::{Tcp, Tls, Unix};

/// Our server, with all transports.
const OURS: Package = Package {
    is_peer: false,
    name: "anyport-bench-server",
    features: "all-transports",
    binary: "anyport-bench-server",
};
/// hyper by hand on each runtime, and `axum::serve`.
const REFERENCES: Package = peer_package("peer-references", "");

/// hyper by hand on a runtime with a thread per core.
const THREAD_BOUND: Unsupported = Unsupported {
    workloads: Scenario::is_websocket,
    reason: "hyper upgrades `Send` streams only, and those of the runtime are not",
};
const NO_APP: Unsupported = Unsupported {
    workloads: |scenario| scenario.is_websocket() || scenario.workload().upload() > 0,
    reason: "it runs no app, which would read bodies and serve WebSockets",
};
const SEVERAL_PROCESSES: Unsupported = Unsupported {
    workloads: Scenario::needs_valgrind,
    reason: "valgrind cannot follow it",
};
const FIXED: Unsupported = Unsupported {
    workloads: |scenario| {
        let served = [
            "plaintext",
            "plaintext-1",
            "idle",
            "instructions",
            "syscalls",
        ];
        !served.contains(&scenario.name)
    },
    reason: "its response is always plain text",
};
const SMALL_FRAMES: Unsupported = Unsupported {
    workloads: |scenario| scenario.name == "websocket-1m",
    reason: "its WebSockets have frames of 64 KiB at most, without a setting for that",
};

/// All of them, in the order of the tables.
pub(in crate::bench) fn all() -> Vec<Target> {
    vec![
        ours("tcp", Tcp, "hyper"),
        ours("tcp-per-core", Tcp, "hyper"),
        ours("monoio", Tcp, "hyper-monoio").by_io_uring(),
        ours("monoio-epoll", Tcp, "hyper-monoio-epoll"),
        ours("glommio", Tcp, "hyper-glommio").by_io_uring(),
        ours("unix", Unix, "hyper-unix"),
        ours("unix-per-core", Unix, "hyper-unix"),
        ours("monoio-unix", Unix, "hyper-monoio-unix").by_io_uring(),
        ours("glommio-unix", Unix, "hyper-glommio-unix").by_io_uring(),
        ours("tls-tcp", Tls, "hyper-rustls"),
        ours("tls-tcp-per-core", Tls, "hyper-rustls"),
        ours("tls-monoio", Tls, "hyper-monoio-tls").by_io_uring(),
        ours("tls-glommio", Tls, "hyper-glommio-tls").by_io_uring(),
        ours("tcp-axum", Tcp, "axum").built(
            Package {
                features: "axum",
                ..OURS
            },
            &["--transport", "axum"],
        ),
        by_hand("hyper", Tcp, &["tokio"]).scaling(),
        by_hand("hyper-monoio", Tcp, &["monoio", "--io", "compat"]).by_io_uring(),
        by_hand("hyper-monoio-epoll", Tcp, &["monoio", "--io", "poll-epoll"]),
        by_hand("hyper-glommio", Tcp, &["glommio"]).by_io_uring(),
        by_hand("hyper-unix", Unix, &["tokio"]).scaling(),
        by_hand("hyper-monoio-unix", Unix, &["monoio", "--io", "compat"]).by_io_uring(),
        by_hand("hyper-glommio-unix", Unix, &["glommio"]).by_io_uring(),
        by_hand("hyper-rustls", Tls, &["tokio-rustls"]),
        by_hand("hyper-monoio-tls", Tls, &["monoio", "--io", "compat"]).by_io_uring(),
        by_hand("hyper-glommio-tls", Tls, &["glommio"]).by_io_uring(),
        peer("axum", REFERENCES)
            .built(REFERENCES, &["axum"])
            .scaling(),
        peer("actix", peer_package("peer-actix", "")).scaling(),
        ntex("ntex", "tokio"),
        ntex("ntex-uring", "uring").by_io_uring(),
        peer("trillium", peer_package("peer-trillium", "")).scaling(),
        nginx(),
        Target {
            unsupported: &[FIXED],
            remark: Some("`floor` sends fixed bytes: its cost is that of the kernel"),
            ..peer("floor", peer_package("peer-floor", ""))
        },
        // `tcp` beside itself, whose ratio has to be 1.
        ours("tcp-again", Tcp, "tcp").built(OURS, &["--transport", "tcp"]),
    ]
}

const fn peer_package(name: &'static str, features: &'static str) -> Package {
    Package {
        is_peer: true,
        name,
        features,
        binary: name,
    }
}

pub(super) fn ours(name: &'static str, transport: Transport, reference: &str) -> Target {
    Target {
        name: name.to_owned(),
        transport,
        reference: reference.to_owned(),
        program: Program::Built(OURS, vec!["--transport", name.trim_start_matches("tls-")]),
        has_http2_flag: false,
        peer: false,
        scales: true,
        needs_io_uring: false,
        unsupported: &[],
        own_headers: &[],
        remark: None,
    }
}

fn peer(name: &'static str, package: Package) -> Target {
    Target {
        peer: true,
        scales: false,
        ..ours(name, Tcp, "hyper").built(package, &[])
    }
}

/// Each is its own reference. An argument chooses its version of HTTP, since detecting it would
/// cost more.
fn by_hand(name: &'static str, transport: Transport, arguments: &[&'static str]) -> Target {
    Target {
        transport,
        reference: name.to_owned(),
        unsupported: if arguments[0].starts_with("tokio") {
            &[]
        } else {
            &[THREAD_BOUND]
        },
        ..peer(name, REFERENCES).built(REFERENCES, arguments)
    }
    .with_http2_flag()
}

fn ntex(name: &'static str, features: &'static str) -> Target {
    Target {
        unsupported: &[SMALL_FRAMES],
        ..peer(name, peer_package("peer-ntex", features))
            .scaling()
            .with_http2_flag()
    }
}

fn nginx() -> Target {
    Target {
        unsupported: &[NO_APP, SEVERAL_PROCESSES],
        own_headers: &[("connection", "keep-alive"), ("server", "nginx")],
        remark: Some(
            "`nginx` has the system's allocator and two more headers; its JSON is fixed, and its \
            downloads are files",
        ),
        ..peer("nginx", peer_package("peer-nginx", "")).with_http2_flag()
    }
}

impl Target {
    fn built(self, package: Package, arguments: &[&'static str]) -> Self {
        Self {
            program: Program::Built(package, arguments.to_vec()),
            ..self
        }
    }

    fn with_http2_flag(self) -> Self {
        Self {
            has_http2_flag: true,
            ..self
        }
    }

    fn scaling(self) -> Self {
        Self {
            scales: true,
            ..self
        }
    }

    fn by_io_uring(self) -> Self {
        Self {
            needs_io_uring: true,
            ..self
        }
    }
}
