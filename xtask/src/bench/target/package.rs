//! What a server is built from, what it allocates with, and how many workers it can have.

/// What a server allocates with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::bench) enum Allocator {
    Mimalloc,
    System,
}

/// Which allocators a package's servers can be had with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::bench) enum Allocators {
    /// There's a binary with each.
    Both,
    /// There's one binary, which takes the system's.
    System,
}

/// How many workers a server can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Workers {
    One,
    /// As many as `--workers` tells it.
    AsTold,
}

/// Which workspace builds a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::bench) enum Home {
    /// This one: anyport's servers.
    Main,
    /// `benches/peers`.
    Peers,
}

/// The package that a server is built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::bench) struct Package {
    pub(in crate::bench) home: Home,
    pub(in crate::bench) name: &'static str,
    /// What's turned on; nothing if it's empty.
    pub(in crate::bench) features: &'static str,
    pub(in crate::bench) allocators: Allocators,
}

impl Allocator {
    pub(in crate::bench) fn name(self) -> &'static str {
        match self {
            Self::Mimalloc => "mimalloc",
            Self::System => "system",
        }
    }
}

impl Package {
    /// Where what's built of it is kept.
    pub(in crate::bench) fn folder(self) -> String {
        match self.features {
            "" => self.name.to_owned(),
            features => format!("{}-{features}", self.name),
        }
    }

    /// The binary that allocates so, or the only one.
    pub(in crate::bench) fn binary(self, allocator: Allocator) -> String {
        match (allocator, self.allocators) {
            (Allocator::System, Allocators::Both) => format!("{}-system", self.name),
            _ => self.name.to_owned(),
        }
    }
}
