//! What the bench knows of each target: a table of facts, and what some of them have in common.

use super::Target;
use super::lack::{DOWNLOAD_ONLY, FIXED, Lack, SILENT, THREAD_BOUND};
use super::package::{Allocators, Home, Package, Workers};

/// What the bench has to know of a target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) name: &'static str,
    /// What it's called on the command line of our own server.
    pub(super) server: &'static str,
    /// What carries the bytes.
    pub(super) transport: &'static str,
    /// Whose figure is 1.
    pub(super) reference: Target,
    pub(super) package: Package,
    /// What the server is told, beside where to listen; ours are told their transport's name before that.
    pub(super) arguments: &'static [&'static str],
    /// The same if it's to be asked for HTTP/2, and doesn't find out by itself.
    pub(super) http2_arguments: &'static [&'static str],
    pub(super) workers: Workers,
    /// It's nothing where the kernel refuses that.
    pub(super) needs_io_uring: bool,
    /// Why valgrind counts nothing of it.
    pub(super) blind_spot: Option<&'static str>,
    /// What it doesn't serve.
    pub(super) lacks: &'static [Lack],
    /// What it sends beside the common headers, in the order of their names.
    pub(super) own_headers: &'static [(&'static str, &'static str)],
    /// The same of its upgrades.
    pub(super) own_upgrade_headers: &'static [(&'static str, &'static str)],
    /// What stands below each table that it's in.
    pub(super) remark: Option<&'static str>,
    /// The same of tables of WebSockets.
    pub(super) upgrade_remark: Option<&'static str>,
}

impl Target {
    pub(super) fn facts(self) -> Facts {
        use Target::{Hyper, HyperGlommio, HyperGlommioUnix, HyperMonoio, HyperMonoioEpoll, HyperMonoioUnix};
        use Target::{HyperGlommioTls, HyperMonoioTls, HyperRustls, HyperUnix};
        match self {
            Self::TcpPerCore => ours("tcp-per-core", "tcp", "", Hyper),
            Self::Tcp => ours("tcp", "tcp", "", Hyper),
            Self::Monoio => ours("monoio", "tcp", "monoio", HyperMonoio).by_io_uring(),
            Self::MonoioEpoll => ours("monoio-epoll", "tcp", "monoio", HyperMonoioEpoll),
            Self::Glommio => ours("glommio", "tcp", "glommio", HyperGlommio).by_io_uring(),
            Self::UnixPerCore => ours("unix-per-core", "unix", "", HyperUnix),
            Self::Unix => ours("unix", "unix", "", HyperUnix),
            Self::MonoioUnix => ours("monoio-unix", "unix", "monoio", HyperMonoioUnix).by_io_uring(),
            Self::GlommioUnix => ours("glommio-unix", "unix", "glommio", HyperGlommioUnix).by_io_uring(),
            Self::Hyper => by_hand("hyper", "tcp", "peer-hyper", Hyper).scaling(),
            Self::HyperMultiThread => by_hand("hyper-multi-thread", "tcp", "peer-hyper", Hyper)
                .with(&["--multi-thread"])
                .scaling(),
            Self::HyperUnix => by_hand("hyper-unix", "unix", "peer-hyper", HyperUnix).scaling(),
            Self::HyperMonoio => by_hand("hyper-monoio", "tcp", "peer-monoio", HyperMonoio)
                .with(&["--io", "compat"])
                .without(&[THREAD_BOUND])
                .by_io_uring(),
            Self::HyperMonoioPoll => by_hand("hyper-monoio-poll", "tcp", "peer-monoio", HyperMonoio)
                .with(&["--io", "poll"])
                .without(&[THREAD_BOUND])
                .by_io_uring(),
            Self::HyperMonoioEpoll => by_hand("hyper-monoio-epoll", "tcp", "peer-monoio", HyperMonoioEpoll)
                .with(&["--io", "poll-epoll"])
                .without(&[THREAD_BOUND]),
            Self::HyperMonoioUnix => by_hand("hyper-monoio-unix", "unix", "peer-monoio", HyperMonoioUnix)
                .with(&["--io", "compat"])
                .without(&[THREAD_BOUND])
                .by_io_uring(),
            Self::HyperGlommio => by_hand("hyper-glommio", "tcp", "peer-glommio", HyperGlommio)
                .without(&[THREAD_BOUND])
                .by_io_uring(),
            Self::HyperGlommioUnix => by_hand("hyper-glommio-unix", "unix", "peer-glommio", HyperGlommioUnix)
                .without(&[THREAD_BOUND])
                .by_io_uring(),
            Self::TlsTcpPerCore => ours("tls-tcp-per-core", "tls", "tls", HyperRustls),
            Self::TlsTcp => ours("tls-tcp", "tls", "tls", HyperRustls),
            Self::TlsTcpAwsLcRs => ours("tls-tcp-aws-lc-rs", "tls", "aws-lc-rs", HyperRustls),
            Self::TlsMonoio => ours("tls-monoio", "tls", "tls-monoio", HyperMonoioTls).by_io_uring(),
            Self::TlsGlommio => ours("tls-glommio", "tls", "tls-glommio", HyperGlommioTls).by_io_uring(),
            Self::HyperRustls => by_hand("hyper-rustls", "tls", "peer-rustls", HyperRustls),
            Self::HyperMonoioTls => by_hand("hyper-monoio-tls", "tls", "peer-monoio", HyperMonoioTls)
                .built_with("tls")
                .with(&["--io", "compat"])
                .without(&[THREAD_BOUND])
                .by_io_uring(),
            Self::HyperGlommioTls => by_hand("hyper-glommio-tls", "tls", "peer-glommio", HyperGlommioTls)
                .built_with("tls")
                .without(&[THREAD_BOUND])
                .by_io_uring(),
            Self::RustlsSession => peer("rustls-session", "tls", "peer-rustls", HyperRustls)
                .with(&["--hold"])
                .without(&[SILENT]),
            Self::Axum => peer("axum", "tcp", "peer-axum", Hyper).scaling(),
            Self::Actix => peer("actix", "tcp", "peer-actix", Hyper).scaling(),
            Self::Ntex => ntex("ntex").built_with("tokio"),
            Self::NtexUring => ntex("ntex-uring").built_with("uring").by_io_uring(),
            Self::Nginx => nginx(),
            Self::TcpAgain => itself("tcp-again", &[]),
            Self::TcpSpinning => itself("tcp-spinning", &["--spin", "50us"]).built_with("faults"),
            Self::TcpSpinningTwice => itself("tcp-spinning-twice", &["--spin", "100us"]).built_with("faults"),
            Self::TcpStalling => {
                itself("tcp-stalling", &["--stall-every", "1000", "--stall", "20ms"]).built_with("faults")
            }
            Self::Floor => Facts {
                remark: Some("no server, answers fixed bytes"),
                ..peer("floor", "tcp", "peer-floor", Hyper).without(&[FIXED])
            },
        }
    }
}

/// One of anyport's transports.
fn ours(name: &'static str, transport: &'static str, features: &'static str, reference: Target) -> Facts {
    let package = Package {
        home: Home::Main,
        name: "anyport-bench-server",
        features,
        allocators: Allocators::Both,
    };
    Facts {
        name,
        server: name,
        transport,
        reference,
        package,
        arguments: &[],
        http2_arguments: &[],
        workers: Workers::AsTold,
        needs_io_uring: false,
        blind_spot: None,
        lacks: &[],
        own_headers: &[],
        own_upgrade_headers: &[],
        remark: None,
        upgrade_remark: None,
    }
}

/// anyport's TCP with something that the bench has to find.
fn itself(name: &'static str, arguments: &'static [&'static str]) -> Facts {
    Facts {
        name,
        server: "tcp",
        ..ours("tcp", "tcp", "", Target::Tcp).with(arguments)
    }
}

/// Somebody else's server, or a reference.
fn peer(name: &'static str, transport: &'static str, package: &'static str, reference: Target) -> Facts {
    let facts = ours(name, transport, "", reference);
    let package = Package {
        home: Home::Peers,
        name: package,
        ..facts.package
    };
    Facts {
        package,
        workers: Workers::One,
        ..facts
    }
}

/// hyper by hand, which is told the one HTTP that it speaks: to look for it would be work that nobody asked of it.
fn by_hand(name: &'static str, transport: &'static str, package: &'static str, reference: Target) -> Facts {
    peer(name, transport, package, reference).telling_http2()
}

/// Its upgrades have a header that they can't be had without.
fn ntex(name: &'static str) -> Facts {
    Facts {
        own_upgrade_headers: &[("transfer-encoding", "chunked")],
        upgrade_remark: Some(
            "what agrees to its WebSockets announces `transfer-encoding: chunked`, which RFC 9112 6.1 forbids",
        ),
        ..peer(name, "tcp", "peer-ntex", Target::Hyper)
            .scaling()
            .telling_http2()
    }
}

/// It comes as it is: with its own allocator, and two headers that it can't be had without.
fn nginx() -> Facts {
    let facts = peer("nginx", "tcp", "peer-nginx", Target::Hyper).telling_http2();
    let facts = facts.without(&[DOWNLOAD_ONLY]);
    Facts {
        package: Package {
            allocators: Allocators::System,
            ..facts.package
        },
        blind_spot: Some("valgrind stays with the program that becomes nginx"),
        own_headers: &[("connection", "keep-alive"), ("server", "nginx")],
        remark: Some(
            "it allocates with the system's allocator, always, and sends `connection: keep-alive` and `server: nginx` beside \
            the headers of all others; its JSON is fixed bytes, and what's downloaded a file that it opens for each request",
        ),
        ..facts
    }
}

impl Facts {
    fn with(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }

    /// A port of it speaks either HTTP/1 or HTTP/2.
    fn telling_http2(self) -> Self {
        Self {
            http2_arguments: &["--http2"],
            ..self
        }
    }

    fn scaling(self) -> Self {
        Self {
            workers: Workers::AsTold,
            ..self
        }
    }

    fn built_with(self, features: &'static str) -> Self {
        let package = Package {
            features,
            ..self.package
        };
        Self { package, ..self }
    }

    fn without(self, lacks: &'static [Lack]) -> Self {
        Self { lacks, ..self }
    }

    fn by_io_uring(self) -> Self {
        Self {
            needs_io_uring: true,
            blind_spot: Some("valgrind can't follow io_uring"),
            ..self
        }
    }
}
