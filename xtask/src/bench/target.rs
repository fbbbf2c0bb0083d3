//! What can be measured: anyport's transports and the peers. A new one is a variant of [`Target`], and a line in the table below it.

mod lack;
mod package;

use super::scenario::Scenario;
use anyport_bench_child::Workload;
use lack::{DOWNLOAD_ONLY, FIXED, H2_BY_ALPN, HTTP1_ONLY, Lack, ONE_PROTOCOL, SILENT, THREAD_BOUND};
pub(super) use package::{Allocator, Allocators, Home, Package};
use std::fmt;

/// A server to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub(super) enum Target {
    /// anyport's TCP, one tokio and one socket per core.
    TcpPerCore,
    /// anyport's TCP on the tokio it's called in.
    Tcp,
    /// anyport's TCP on monoio, by io_uring.
    Monoio,
    /// The same by epoll.
    MonoioEpoll,
    /// anyport's TCP on glommio.
    Glommio,
    /// anyport's Unix sockets, one tokio per core.
    UnixPerCore,
    /// anyport's Unix sockets on the tokio they're called in.
    Unix,
    /// anyport's Unix sockets on monoio, by io_uring.
    MonoioUnix,
    /// anyport's Unix sockets on glommio.
    GlommioUnix,
    /// hyper by hand on a single-threaded tokio: the reference.
    Hyper,
    /// The same over a Unix socket.
    HyperUnix,
    /// hyper by hand on monoio, by monoio-compat, whose reads and writes are io_uring's: the reference for `monoio`.
    HyperMonoio,
    /// The same by monoio's `poll-io`, as in its own hyper example: io_uring only waits.
    HyperMonoioPoll,
    /// The same on monoio's driver without io_uring: the reference for `monoio-epoll`.
    HyperMonoioEpoll,
    /// `hyper-monoio` over a Unix socket.
    HyperMonoioUnix,
    /// hyper by hand on glommio, as in its own hyper example: the reference for `glommio`.
    HyperGlommio,
    /// The same over a Unix socket.
    HyperGlommioUnix,
    /// anyport's TLS over its TCP, one tokio per core.
    TlsTcpPerCore,
    /// anyport's TLS over its TCP on the tokio it's called in.
    TlsTcp,
    /// The same by aws-lc-rs instead of ring.
    TlsTcpAwsLcRs,
    /// hyper by hand over tokio-rustls: the reference for TLS.
    HyperRustls,
    /// The same without hyper: a session that waits. It answers nothing, so it's for `idle` and `handshakes`.
    RustlsSession,
    /// `axum::serve`.
    Axum,
    /// actix-web on one worker.
    Actix,
    /// ntex on one worker, on tokio.
    Ntex,
    /// The same on ntex's own runtime, by io_uring.
    NtexUring,
    /// Debian's nginx, one process.
    Nginx,
    /// No server, answers fixed bytes: what epoll and the kernel's TCP cost alone.
    Floor,
    /// `tcp` again, under another name: for the bench's test of itself, as those below.
    #[value(skip)]
    TcpAgain,
    /// `tcp`, which burns 50 us for each request.
    #[value(skip)]
    TcpSpinning,
    /// `tcp`, which stalls for 20 ms at each thousandth request.
    #[value(skip)]
    TcpStalling,
}

/// What the bench has to know of a target.
#[derive(Clone, Copy, Debug)]
struct Facts {
    name: &'static str,
    /// What it's called on the command line of our own server.
    server: &'static str,
    /// What carries the bytes.
    transport: &'static str,
    /// Whose figure is 1.
    reference: Target,
    package: Package,
    /// What the server is told, beside where to listen; ours are told their transport's name before that.
    arguments: &'static [&'static str],
    /// Why valgrind counts nothing of it.
    blind_spot: Option<&'static str>,
    /// What it doesn't serve.
    lacks: &'static [Lack],
    /// What it sends beside the common headers, in the order of their names.
    own_headers: &'static [(&'static str, &'static str)],
    /// The same of its upgrades.
    own_upgrade_headers: &'static [(&'static str, &'static str)],
    /// What stands below each table that it's in.
    remark: Option<&'static str>,
}

impl Target {
    fn facts(self) -> Facts {
        use Target::{Hyper, HyperGlommio, HyperGlommioUnix, HyperMonoio, HyperMonoioEpoll, HyperMonoioUnix};
        use Target::{HyperRustls, HyperUnix};
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
            Self::Hyper => peer("hyper", "tcp", "peer-hyper", Hyper).without(&[HTTP1_ONLY]),
            Self::HyperUnix => peer("hyper-unix", "unix", "peer-hyper", HyperUnix).without(&[HTTP1_ONLY]),
            Self::HyperMonoio => peer("hyper-monoio", "tcp", "peer-monoio", HyperMonoio)
                .with(&["--io", "compat"])
                .without(&[HTTP1_ONLY, THREAD_BOUND])
                .by_io_uring(),
            Self::HyperMonoioPoll => peer("hyper-monoio-poll", "tcp", "peer-monoio", HyperMonoio)
                .with(&["--io", "poll"])
                .without(&[HTTP1_ONLY, THREAD_BOUND])
                .by_io_uring(),
            Self::HyperMonoioEpoll => peer("hyper-monoio-epoll", "tcp", "peer-monoio", HyperMonoioEpoll)
                .with(&["--io", "poll-epoll"])
                .without(&[HTTP1_ONLY, THREAD_BOUND]),
            Self::HyperMonoioUnix => peer("hyper-monoio-unix", "unix", "peer-monoio", HyperMonoioUnix)
                .with(&["--io", "compat"])
                .without(&[HTTP1_ONLY, THREAD_BOUND])
                .by_io_uring(),
            Self::HyperGlommio => peer("hyper-glommio", "tcp", "peer-glommio", HyperGlommio)
                .without(&[HTTP1_ONLY, THREAD_BOUND])
                .by_io_uring(),
            Self::HyperGlommioUnix => peer("hyper-glommio-unix", "unix", "peer-glommio", HyperGlommioUnix)
                .without(&[HTTP1_ONLY, THREAD_BOUND])
                .by_io_uring(),
            Self::TlsTcpPerCore => ours("tls-tcp-per-core", "tls", "tls", HyperRustls),
            Self::TlsTcp => ours("tls-tcp", "tls", "tls", HyperRustls),
            Self::TlsTcpAwsLcRs => ours("tls-tcp-aws-lc-rs", "tls", "aws-lc-rs", HyperRustls),
            Self::HyperRustls => {
                peer("hyper-rustls", "tls", "peer-rustls", HyperRustls).without(&[HTTP1_ONLY])
            }
            Self::RustlsSession => peer("rustls-session", "tls", "peer-rustls", HyperRustls)
                .with(&["--hold"])
                .without(&[SILENT]),
            Self::Axum => peer("axum", "tcp", "peer-axum", Hyper),
            Self::Actix => peer("actix", "tcp", "peer-actix", Hyper),
            Self::Ntex => ntex("ntex").built_with("tokio"),
            Self::NtexUring => ntex("ntex-uring").built_with("uring").by_io_uring(),
            Self::Nginx => nginx(),
            Self::TcpAgain => itself("tcp-again", &[]),
            Self::TcpSpinning => itself("tcp-spinning", &["--spin", "50us"]),
            Self::TcpStalling => itself("tcp-stalling", &["--stall-every", "1000", "--stall", "20ms"]),
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
        blind_spot: None,
        lacks: &[],
        own_headers: &[],
        own_upgrade_headers: &[],
        remark: None,
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
    Facts { package, ..facts }
}

/// Its upgrades have a header that they can't be had without.
fn ntex(name: &'static str) -> Facts {
    Facts {
        own_upgrade_headers: &[("transfer-encoding", "chunked")],
        remark: Some(
            "what agrees to its WebSockets announces `transfer-encoding: chunked`, which RFC 9112 6.1 forbids",
        ),
        ..peer(name, "tcp", "peer-ntex", Target::Hyper).without(&[H2_BY_ALPN])
    }
}

/// It comes as it is: with its own allocator, and two headers that it can't be had without.
fn nginx() -> Facts {
    let facts = peer("nginx", "tcp", "peer-nginx", Target::Hyper).without(&[DOWNLOAD_ONLY, ONE_PROTOCOL]);
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
            blind_spot: Some("valgrind can't follow io_uring"),
            ..self
        }
    }
}

impl Target {
    /// The TCP ones on tokio. Unix sockets answer another question; io_uring's programs can't be looked into by valgrind, and take long to build.
    pub(super) const DEFAULT: [Self; 5] = [Self::TcpPerCore, Self::Tcp, Self::Hyper, Self::Axum, Self::Actix];
    /// Where only TLS has something to be measured. Not aws-lc-rs, which takes long to build.
    pub(super) const DEFAULT_TLS: [Self; 3] = [Self::TlsTcpPerCore, Self::TlsTcp, Self::HyperRustls];

    pub(super) fn name(self) -> &'static str {
        self.facts().name
    }

    /// What carries the bytes.
    pub(super) fn transport(self) -> &'static str {
        self.facts().transport
    }

    pub(super) fn is_tls(self) -> bool {
        self.transport() == "tls"
    }

    /// Whether it's meant when all are: not what takes long to build and differs little, nor what answers nothing.
    pub(super) fn is_for_all(self) -> bool {
        self.speaks_http() && self != Self::TlsTcpAwsLcRs
    }

    /// Whether it has answers to be asked for.
    pub(super) fn speaks_http(self) -> bool {
        self != Self::RustlsSession
    }

    /// # Errors
    ///
    /// When it can't be asked for this: why.
    pub(super) fn check_serves(self, scenario: Scenario) -> anyhow::Result<()> {
        let mut lacks = self.facts().lacks.iter();
        let lack = lacks.find(|lack| lack.scenarios.contains(&scenario));
        lack.map_or(Ok(()), |lack| anyhow::bail!(lack.reason))
    }

    /// What it answers beside the common headers, in the order of their names: where it can't be had without them.
    pub(super) fn own_headers(self, workload: Workload) -> &'static [(&'static str, &'static str)] {
        let facts = self.facts();
        match workload {
            Workload::WebSocket => facts.own_upgrade_headers,
            _ => facts.own_headers,
        }
    }

    /// # Errors
    ///
    /// When valgrind can't count what it does: why.
    pub(super) fn check_valgrind(self) -> anyhow::Result<()> {
        self.facts().blind_spot.map_or(Ok(()), |why| anyhow::bail!(why))
    }

    /// # Errors
    ///
    /// When it can't be had with this allocator.
    pub(super) fn check_allocator(self, allocator: Allocator) -> anyhow::Result<()> {
        let is_had = self.package().allocators == Allocators::Both || allocator == Allocator::System;
        anyhow::ensure!(is_had, "it allocates with the system's allocator only");
        Ok(())
    }

    /// What whoever compares it has to know.
    pub(super) fn remark(self) -> Option<&'static str> {
        self.facts().remark
    }

    /// Whether it's somebody else's.
    pub(super) fn is_peer(self) -> bool {
        self.package().home == Home::Peers
    }

    /// Whose figure is 1: hyper by hand on the same runtime over the same transport, for who has a runtime of his own hyper on tokio.
    pub(super) fn reference(self) -> Self {
        self.facts().reference
    }

    pub(super) fn package(self) -> Package {
        self.facts().package
    }

    /// What the server is told, beside where to listen.
    pub(super) fn arguments(self) -> Vec<&'static str> {
        let facts = self.facts();
        match facts.package.home {
            Home::Main => [&["--transport", facts.server, "--workers", "1"], facts.arguments].concat(),
            Home::Peers => facts.arguments.to_vec(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Allocator, Target};
    use clap::ValueEnum as _;

    #[test]
    fn a_target_is_called_in_tables_what_it_is_called_on_the_command_line() {
        for target in Target::value_variants() {
            assert_eq!(target.to_possible_value().unwrap().get_name(), target.name());
        }
    }

    #[test]
    fn a_reference_is_its_own() {
        for target in Target::value_variants() {
            let reference = target.reference();
            assert_eq!(reference.reference(), reference);
            assert_eq!(reference.transport(), target.transport());
        }
    }

    #[test]
    fn what_is_on_a_runtime_is_compared_with_hyper_on_the_same() {
        for target in Target::value_variants() {
            for runtime in ["monoio", "glommio"] {
                let runs_on = |target: Target| target.name().contains(runtime);
                assert_eq!(runs_on(*target), runs_on(target.reference()), "{target}");
            }
        }
    }

    #[test]
    fn a_program_without_a_choice_of_allocators_is_not_measured_with_another() {
        for allocator in [Allocator::Mimalloc, Allocator::System] {
            assert_eq!(Target::Nginx.package().binary(allocator), "peer-nginx");
            Target::Floor.check_allocator(allocator).unwrap();
        }
        Target::Nginx.check_allocator(Allocator::System).unwrap();
        Target::Nginx.check_allocator(Allocator::Mimalloc).unwrap_err();
    }
}
