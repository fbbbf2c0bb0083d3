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
}

impl Target {
    /// The TCP ones. Unix sockets answer another question, and double the time.
    pub(super) const DEFAULT: [Self; 7] = [
        Self::TcpPerCore,
        Self::Tcp,
        Self::Monoio,
        Self::Glommio,
        Self::Hyper,
        Self::Axum,
        Self::Actix,
    ];

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
            Self::Axum => "axum",
            Self::Actix => "actix",
        }
    }

    /// What carries the bytes.
    pub(super) fn transport(self) -> &'static str {
        if self.is_unix() { "unix" } else { "tcp" }
    }

    pub(super) fn is_unix(self) -> bool {
        matches!(self, Self::UnixPerCore | Self::Unix | Self::HyperUnix)
    }

    /// Whose figure is 1.
    pub(super) fn reference(self) -> Self {
        if self.is_unix() {
            Self::HyperUnix
        } else {
            Self::Hyper
        }
    }

    pub(super) fn package(self) -> Package {
        let (home, name) = match self {
            Self::TcpPerCore
            | Self::Tcp
            | Self::Monoio
            | Self::MonoioEpoll
            | Self::Glommio
            | Self::UnixPerCore
            | Self::Unix => (Home::Main, "anyport-bench-server"),
            Self::Hyper | Self::HyperUnix => (Home::Peers, "peer-hyper"),
            Self::Axum => (Home::Peers, "peer-axum"),
            Self::Actix => (Home::Peers, "peer-actix"),
        };
        Package { home, name }
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
            Self::Hyper | Self::HyperUnix | Self::Axum | Self::Actix => &[],
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
