//! What can be measured: anyport's transports and the peers. A new one is a line in [`Target`] and one in each table below.

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
    /// hyper by hand on a single-threaded tokio: the reference.
    Hyper,
    /// The same over a Unix socket.
    HyperUnix,
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
}

/// What a server allocates with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Allocator {
    Mimalloc,
    System,
}

/// Which workspace builds a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Home {
    /// This one: anyport's servers.
    Main,
    /// `benches/peers`.
    Peers,
}

/// The package that a server is built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Package {
    pub(super) home: Home,
    pub(super) name: &'static str,
    /// What's turned on; nothing if it's empty.
    pub(super) features: &'static str,
}

impl Target {
    /// The TCP ones on tokio. Unix sockets answer another question; io_uring's programs can't be looked into by valgrind, and take long to build.
    pub(super) const DEFAULT: [Self; 5] = [Self::TcpPerCore, Self::Tcp, Self::Hyper, Self::Axum, Self::Actix];
    /// Where only TLS has something to be measured. Not aws-lc-rs, which takes long to build.
    pub(super) const DEFAULT_TLS: [Self; 3] = [Self::TlsTcpPerCore, Self::TlsTcp, Self::HyperRustls];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TcpPerCore => "tcp-per-core",
            Self::Tcp => "tcp",
            Self::Monoio => "monoio",
            Self::MonoioEpoll => "monoio-epoll",
            Self::Glommio => "glommio",
            Self::UnixPerCore => "unix-per-core",
            Self::Unix => "unix",
            Self::Hyper => "hyper",
            Self::HyperUnix => "hyper-unix",
            Self::TlsTcpPerCore => "tls-tcp-per-core",
            Self::TlsTcp => "tls-tcp",
            Self::TlsTcpAwsLcRs => "tls-tcp-aws-lc-rs",
            Self::HyperRustls => "hyper-rustls",
            Self::RustlsSession => "rustls-session",
            Self::Axum => "axum",
            Self::Actix => "actix",
        }
    }

    /// What carries the bytes.
    pub(super) fn transport(self) -> &'static str {
        match self {
            Self::TcpPerCore
            | Self::Tcp
            | Self::Monoio
            | Self::MonoioEpoll
            | Self::Glommio
            | Self::Hyper
            | Self::Axum
            | Self::Actix => "tcp",
            Self::UnixPerCore | Self::Unix | Self::HyperUnix => "unix",
            Self::TlsTcpPerCore
            | Self::TlsTcp
            | Self::TlsTcpAwsLcRs
            | Self::HyperRustls
            | Self::RustlsSession => "tls",
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
    /// When it has none.
    pub(super) fn check_answers(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.speaks_http(), "it answers no requests");
        Ok(())
    }

    /// Whether it's somebody else's.
    pub(super) fn is_peer(self) -> bool {
        self.package().home == Home::Peers
    }

    /// Whose figure is 1.
    pub(super) fn reference(self) -> Self {
        match self.transport() {
            "unix" => Self::HyperUnix,
            "tls" => Self::HyperRustls,
            _ => Self::Hyper,
        }
    }

    pub(super) fn package(self) -> Package {
        let (home, name, features) = match self {
            Self::TcpPerCore | Self::Tcp | Self::UnixPerCore | Self::Unix => {
                (Home::Main, "anyport-bench-server", "")
            }
            Self::Monoio | Self::MonoioEpoll => (Home::Main, "anyport-bench-server", "monoio"),
            Self::Glommio => (Home::Main, "anyport-bench-server", "glommio"),
            Self::TlsTcpPerCore | Self::TlsTcp => (Home::Main, "anyport-bench-server", "tls"),
            Self::TlsTcpAwsLcRs => (Home::Main, "anyport-bench-server", "aws-lc-rs"),
            Self::Hyper | Self::HyperUnix => (Home::Peers, "peer-hyper", ""),
            Self::HyperRustls | Self::RustlsSession => (Home::Peers, "peer-rustls", ""),
            Self::Axum => (Home::Peers, "peer-axum", ""),
            Self::Actix => (Home::Peers, "peer-actix", ""),
        };
        Package { home, name, features }
    }

    /// What the server is told, beside where to listen.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::TcpPerCore => &["--transport", "tcp-per-core", "--workers", "1"],
            Self::Tcp => &["--transport", "tcp", "--workers", "1"],
            Self::Monoio => &["--transport", "monoio", "--workers", "1"],
            Self::MonoioEpoll => &["--transport", "monoio-epoll", "--workers", "1"],
            Self::Glommio => &["--transport", "glommio", "--workers", "1"],
            Self::UnixPerCore => &["--transport", "unix-per-core", "--workers", "1"],
            Self::Unix => &["--transport", "unix", "--workers", "1"],
            Self::TlsTcpPerCore => &["--transport", "tls-tcp-per-core", "--workers", "1"],
            Self::TlsTcp => &["--transport", "tls-tcp", "--workers", "1"],
            Self::TlsTcpAwsLcRs => &["--transport", "tls-tcp-aws-lc-rs", "--workers", "1"],
            Self::RustlsSession => &["--hold"],
            Self::Hyper | Self::HyperUnix | Self::HyperRustls | Self::Axum | Self::Actix => &[],
        }
    }
}

impl Allocator {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mimalloc => "mimalloc",
            Self::System => "system",
        }
    }
}

impl Package {
    /// The binary that allocates so.
    pub(super) fn binary(self, allocator: Allocator) -> String {
        match allocator {
            Allocator::Mimalloc => self.name.to_owned(),
            Allocator::System => format!("{}-system", self.name),
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
    use super::Target;
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
}
