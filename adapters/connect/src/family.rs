//! The two families of IP addresses.
use std::{fmt, net::IpAddr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V6,
    V4,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V6, Self::V4];

    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V6(_) => Self::V6,
            IpAddr::V4(_) => Self::V4,
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::V6 => Self::V4,
            Self::V4 => Self::V6,
        }
    }

    /// Its index in an array with one element for each family.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// The type of its DNS records.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V6 => "AAAA",
            Self::V4 => "A",
        })
    }
}
