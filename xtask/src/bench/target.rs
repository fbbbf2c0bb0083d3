//! What can be measured: anyport's transports and the peers. A new one is a variant of [`Target`], and a line in `facts.rs`.

mod facts;
mod lack;
mod package;

use super::scenario::Scenario;
use anyport_bench_child::Workload;
use package::Workers;
pub(super) use package::{Allocator, Allocators, Home, Package};
use std::fmt;
use std::num::NonZeroUsize;

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
    /// The same on tokio's scheduler that steals work, which is what `#[tokio::main]` makes.
    HyperMultiThread,
    /// `hyper` over a Unix socket.
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
    /// anyport's TLS over its TCP on monoio, by io_uring.
    TlsMonoio,
    /// anyport's TLS over its TCP on glommio.
    TlsGlommio,
    /// hyper by hand over tokio-rustls: the reference for TLS on tokio.
    HyperRustls,
    /// The same on monoio, by monoio-compat: the reference for `tls-monoio`.
    HyperMonoioTls,
    /// The same on glommio: the reference for `tls-glommio`.
    HyperGlommioTls,
    /// The same without hyper: a session that waits. It answers nothing, so it's for `idle` and `handshakes`.
    RustlsSession,
    /// `axum::serve`.
    Axum,
    /// actix-web.
    Actix,
    /// ntex on tokio.
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
    /// The same with 100 us.
    #[value(skip)]
    TcpSpinningTwice,
    /// `tcp`, which stalls for 20 ms at each thousandth request.
    #[value(skip)]
    TcpStalling,
}

impl Target {
    /// The TCP ones on tokio. Unix sockets answer another question; io_uring's programs can't be looked into by valgrind, and take long to build.
    pub(super) const DEFAULT: [Self; 5] = [Self::TcpPerCore, Self::Tcp, Self::Hyper, Self::Axum, Self::Actix];
    /// Where only TLS has something to be measured. Not aws-lc-rs and io_uring, which take long to build.
    pub(super) const DEFAULT_TLS: [Self; 3] = [Self::TlsTcpPerCore, Self::TlsTcp, Self::HyperRustls];

    pub(super) fn name(self) -> &'static str {
        self.facts().name
    }

    /// What carries the bytes.
    pub(super) fn transport(self) -> &'static str {
        self.facts().transport
    }

    /// The last one in the row of references.
    pub(super) fn root(self) -> Self {
        match self.reference() {
            reference if reference == self => self,
            reference => reference.root(),
        }
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
    pub(super) fn own_headers(self, scenario: Scenario) -> Vec<(&'static str, &'static str)> {
        let facts = self.facts();
        let mut headers = match scenario {
            Scenario::Http1(Workload::WebSocket) => facts.own_upgrade_headers,
            _ => facts.own_headers,
        }
        .to_vec();
        // HTTP/2 has no such header (RFC 9113 8.2.2).
        headers.retain(|&(name, _)| scenario != Scenario::PlaintextH2 || name != "connection");
        headers
    }

    pub(super) fn needs_io_uring(self) -> bool {
        self.facts().needs_io_uring
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

    /// What whoever compares it has to know; of its WebSockets, if they're compared.
    pub(super) fn remarks(self, has_websockets: bool) -> impl Iterator<Item = &'static str> {
        let facts = self.facts();
        let of_websockets = facts.upgrade_remark.filter(|_| has_websockets);
        facts.remark.into_iter().chain(of_websockets)
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

    /// What the server is told, beside where to listen, when it's to be asked for this.
    ///
    /// # Errors
    ///
    /// When it can't have so many workers.
    pub(super) fn arguments(self, workers: NonZeroUsize, scenario: Scenario) -> anyhow::Result<Vec<String>> {
        let facts = self.facts();
        let mut arguments: Vec<String> = facts.arguments.iter().map(ToString::to_string).collect();
        if facts.package.home == Home::Main {
            arguments.extend(["--transport", facts.server].map(str::to_owned));
        }
        if scenario == Scenario::PlaintextH2 {
            arguments.extend(facts.http2_arguments.iter().map(ToString::to_string));
        }
        match facts.workers {
            Workers::AsTold => arguments.extend(["--workers".to_owned(), workers.to_string()]),
            Workers::One => anyhow::ensure!(workers.get() == 1, "it has one worker, always"),
        }
        Ok(arguments)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Allocator, NonZeroUsize, Scenario, Target};
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
    fn who_is_told_to_have_faults_is_built_with_them() {
        for target in Target::value_variants() {
            let told = target.arguments(NonZeroUsize::MIN, Scenario::PLAINTEXT).unwrap();
            let has_faults = told
                .iter()
                .any(|argument| argument == "--spin" || argument == "--stall-every");
            assert_eq!(has_faults, target.package().features == "faults", "{target}");
        }
        let mut told = Target::TcpSpinning
            .arguments(NonZeroUsize::MIN, Scenario::PLAINTEXT)
            .unwrap()
            .into_iter();
        assert!(told.any(|argument| argument == "--spin"));
    }

    #[test]
    fn who_has_one_worker_is_not_measured_with_more() {
        let two = NonZeroUsize::new(2).unwrap();
        let told = |target: Target| {
            target
                .arguments(two, Scenario::PLAINTEXT)
                .map(|arguments| arguments.join(" "))
        };
        assert_eq!(told(Target::Tcp).unwrap(), "--transport tcp --workers 2");
        assert_eq!(told(Target::Hyper).unwrap(), "--workers 2");
        for target in [Target::HyperMonoio, Target::Nginx, Target::Floor] {
            let error = told(target).unwrap_err().to_string();
            assert_eq!(error, "it has one worker, always", "{target}");
            target.arguments(NonZeroUsize::MIN, Scenario::PLAINTEXT).unwrap();
        }
    }

    #[test]
    fn who_does_not_find_out_which_http_it_is_is_told() {
        let told =
            |target: Target, scenario| target.arguments(NonZeroUsize::MIN, scenario).unwrap().join(" ");
        for target in [Target::Hyper, Target::HyperRustls, Target::Ntex, Target::Nginx] {
            assert!(
                told(target, Scenario::PlaintextH2).contains("--http2"),
                "{target}"
            );
            assert!(!told(target, Scenario::PLAINTEXT).contains("--http2"), "{target}");
        }
        assert_eq!(
            told(Target::Tcp, Scenario::PlaintextH2),
            told(Target::Tcp, Scenario::PLAINTEXT)
        );
    }

    #[test]
    fn http2_has_no_headers_of_a_connection() {
        let headers = Target::Nginx.own_headers(Scenario::PLAINTEXT);
        assert_eq!(headers, [("connection", "keep-alive"), ("server", "nginx")]);
        let headers = Target::Nginx.own_headers(Scenario::PlaintextH2);
        assert_eq!(headers, [("server", "nginx")]);
    }

    #[test]
    fn all_that_speak_http_but_the_floor_speak_http2() {
        for target in Target::value_variants() {
            let is_asked = target.check_serves(Scenario::PlaintextH2).is_ok();
            let is_floor = *target == Target::Floor;
            assert_eq!(is_asked, target.speaks_http() && !is_floor, "{target}");
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
