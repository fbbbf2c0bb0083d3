//! The targets of the bench.

use super::{Package, Program, Scenario, Target, Transport, Unsupported};
use Transport::{Tcp, Tls, Unix};

/// hyper by hand on each runtime, and `axum::serve`.
const REFERENCES: Package = peer_package("peer-references", "");
/// The servers of Debian.
const DEBIAN: Package = peer_package("peer-debian", "");

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
        !matches!(
            scenario.name,
            "plaintext" | "plaintext-1" | "idle" | "instructions" | "syscalls"
        )
    },
    reason: "its response is always plain text",
};
const SMALL_FRAMES: Unsupported = Unsupported {
    workloads: |scenario| scenario.name == "websocket-1m",
    reason: "its WebSockets have frames of 64 KiB at most, without a setting for that",
};
const NO_UPGRADES: Unsupported = Unsupported {
    workloads: Scenario::is_websocket,
    reason: "the proxies of the bench forward no upgrades",
};
/// Accepted connections are counted by descriptors.
const MORE_DESCRIPTORS: Unsupported = Unsupported {
    workloads: Scenario::is_idle,
    reason: "a proxy's descriptors are not only those of its clients",
};

const NGINX_HEADERS: &[(&str, &str)] = &[("connection", "keep-alive"), ("server", "nginx")];

/// All of them, in the order of the tables.
pub(in crate::bench) fn all() -> Vec<Target> {
    vec![
        ours("tcp", Tcp, "tokio", "hyper").checked(),
        ours("tcp-per-core", Tcp, "tokio-per-core", "hyper").checked(),
        ours("monoio", Tcp, "monoio", "hyper-monoio").checked(),
        ours("monoio-epoll", Tcp, "monoio-epoll", "hyper-monoio-epoll").checked(),
        ours("glommio", Tcp, "glommio", "hyper-glommio").checked(),
        ours("unix", Unix, "tokio", "hyper-unix").checked(),
        ours("unix-per-core", Unix, "tokio-per-core", "hyper-unix").rare(),
        ours("monoio-unix", Unix, "monoio", "hyper-monoio-unix"),
        ours("glommio-unix", Unix, "glommio", "hyper-glommio-unix"),
        ours("tls-tcp", Tls, "tokio", "hyper-rustls").checked(),
        ours("tls-tcp-per-core", Tls, "tokio-per-core", "hyper-rustls").rare(),
        ours("tls-monoio", Tls, "monoio", "hyper-monoio-tls").rare(),
        ours("tls-glommio", Tls, "glommio", "hyper-glommio-tls").rare(),
        ours("tcp-axum", Tcp, "axum", "axum"),
        by_hand("hyper", Tcp, &["tokio"]).scaling(),
        by_hand("hyper-monoio", Tcp, &["monoio", "--io", "compat"]),
        by_hand("hyper-monoio-epoll", Tcp, &["monoio", "--io", "poll-epoll"]),
        by_hand("hyper-glommio", Tcp, &["glommio"]),
        by_hand("hyper-unix", Unix, &["tokio"]).scaling(),
        by_hand("hyper-monoio-unix", Unix, &["monoio", "--io", "compat"]),
        by_hand("hyper-glommio-unix", Unix, &["glommio"]),
        by_hand("hyper-rustls", Tls, &["tokio-rustls"]),
        by_hand("hyper-monoio-tls", Tls, &["monoio", "--io", "compat"]).rare(),
        by_hand("hyper-glommio-tls", Tls, &["glommio"]).rare(),
        peer("axum", REFERENCES, &["axum"]).scaling(),
        peer("actix", peer_package("peer-actix", ""), &[]).scaling(),
        ntex("ntex", "tokio"),
        ntex("ntex-uring", "uring").rare(),
        peer("trillium", peer_package("peer-trillium", ""), &[]).scaling(),
        Target {
            unsupported: &[NO_APP, SEVERAL_PROCESSES],
            own_headers: NGINX_HEADERS,
            remark: Some(
                "`nginx` has the system's allocator and two more headers; its JSON is fixed, and \
                its downloads are files",
            ),
            ..peer("nginx", DEBIAN, &["nginx"]).with_http2_flag()
        },
        Target {
            unsupported: &[FIXED],
            remark: Some("`floor` sends fixed bytes: its cost is that of the kernel"),
            ..peer("floor", peer_package("peer-floor", ""), &[]).rare()
        },
        // `tcp` beside itself, whose ratio has to be 1.
        ours("tcp-again", Tcp, "tokio", "tcp").rare(),
        proxy(ours("proxy", Tcp, "proxy", "tcp")),
        Target {
            own_headers: NGINX_HEADERS,
            ..proxy(peer("proxy-nginx", DEBIAN, &["nginx-proxy"]).with_http2_flag())
        },
        proxy(peer("proxy-haproxy", DEBIAN, &["haproxy"])),
    ]
}

const fn peer_package(name: &'static str, features: &'static str) -> Package {
    Package {
        is_peer: true,
        name,
        features,
    }
}

/// `server` is the value of `--server`.
pub(super) fn ours(
    name: &str,
    transport: Transport,
    server: &'static str,
    reference: &str,
) -> Target {
    let package = Package {
        is_peer: false,
        name: "anyport-bench-server",
        features: match server {
            // Programs of their own, so that the others do not depend on their crates.
            "axum" | "proxy" => server,
            _ => "all-transports",
        },
    };
    Target {
        name: name.to_owned(),
        transport,
        reference: reference.to_owned(),
        program: Program::Built(package, vec!["--server", server]),
        is_peer: false,
        is_rare: false,
        is_checked: false,
        is_proxy: false,
        has_http2_flag: false,
        scales: true,
        needs_io_uring: matches!(server, "monoio" | "glommio"),
        unsupported: &[],
        own_headers: &[],
        remark: None,
    }
}

fn peer(name: &str, package: Package, arguments: &[&'static str]) -> Target {
    Target {
        program: Program::Built(package, arguments.to_vec()),
        is_peer: true,
        scales: false,
        ..ours(name, Tcp, "", "hyper")
    }
}

/// Each is its own reference. An argument chooses its version of HTTP, since detecting it would
/// cost more.
fn by_hand(name: &str, transport: Transport, arguments: &[&'static str]) -> Target {
    Target {
        transport,
        reference: name.to_owned(),
        unsupported: match arguments[0] {
            "tokio" | "tokio-rustls" => &[],
            _ => &[THREAD_BOUND],
        },
        needs_io_uring: matches!(arguments, ["monoio", "--io", "compat"] | ["glommio"]),
        ..peer(name, REFERENCES, arguments).with_http2_flag()
    }
}

fn ntex(name: &str, features: &'static str) -> Target {
    Target {
        unsupported: &[SMALL_FRAMES],
        needs_io_uring: features == "uring",
        ..peer(name, peer_package("peer-ntex", features), &[])
            .scaling()
            .with_http2_flag()
    }
}

/// It forwards to `tcp`.
fn proxy(target: Target) -> Target {
    Target {
        reference: "tcp".to_owned(),
        is_proxy: true,
        unsupported: match target.is_peer {
            false => &[NO_UPGRADES, MORE_DESCRIPTORS],
            true => &[NO_UPGRADES, MORE_DESCRIPTORS, SEVERAL_PROCESSES],
        },
        remark: Some(
            "a proxy forwards to `tcp`, which runs on the core of the load; nginx and haproxy \
            have the system's allocator and their own sizes of buffers",
        ),
        ..target.rare()
    }
}

impl Target {
    fn with_http2_flag(mut self) -> Self {
        self.has_http2_flag = true;
        self
    }

    fn scaling(mut self) -> Self {
        self.scales = true;
        self
    }

    fn rare(mut self) -> Self {
        self.is_rare = true;
        self
    }

    fn checked(mut self) -> Self {
        self.is_checked = true;
        self
    }
}
