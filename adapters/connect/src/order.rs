//! The order in which addresses are tried (RFC 6724, section 6).
use std::{
    cmp::Reverse,
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
};

/// Finds the address from which this machine would connect to another.
pub(crate) type SourceAddress = fn(IpAddr) -> Option<IpAddr>;

/// Sorts destinations by rules 1, 2, 5, 6, 8, 9 and 10.
///
/// The other rules need facts that a program cannot learn from a socket. Rules 3 and 4 need to know
/// which source addresses are deprecated or home addresses, and rule 7 which routes are tunnels.
/// Rule 9 compares IPv6 addresses only, because for IPv4 it defeats the round-robin order of the
/// DNS.
pub(crate) fn sort(destinations: &mut [IpAddr], source: SourceAddress) {
    // A single destination needs no order, and finding a source costs five system calls.
    if destinations.len() > 1 {
        // Stable: rule 10 leaves the order of equals unchanged.
        destinations.sort_by_cached_key(|destination| Key::new(*destination, source(*destination)));
    }
}

/// The rules in their order. The smaller key is the better destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Rule 1: avoid unusable destinations.
    is_unusable: bool,
    /// Rule 2: prefer matching scope.
    differs_in_scope: bool,
    /// Rule 5: prefer matching label.
    differs_in_label: bool,
    /// Rule 6: prefer higher precedence.
    precedence: Reverse<u8>,
    /// Rule 8: prefer smaller scope.
    scope: u8,
    /// Rule 9: use longest matching prefix.
    prefix: Reverse<u32>,
}

impl Key {
    fn new(destination: IpAddr, source: Option<IpAddr>) -> Self {
        let policy = Policy::of(destination);
        Self {
            is_unusable: source.is_none(),
            differs_in_scope: source.map(scope) != Some(scope(destination)),
            differs_in_label: source.map(|s| Policy::of(s).label) != Some(policy.label),
            precedence: Reverse(policy.precedence),
            scope: scope(destination),
            prefix: Reverse(source.map_or(0, |source| common_prefix(source, destination))),
        }
    }
}

/// A row of the policy table (RFC 6724, section 2.1).
#[derive(Clone, Copy)]
struct Policy {
    precedence: u8,
    label: u8,
}

/// Prefix, its length, precedence and label of each row, the longer prefixes first.
const POLICIES: [(Ipv6Addr, u32, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 50, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 35, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 1, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5, 5),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 30, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 1, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 1, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 3, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 40, 1),
];

impl Policy {
    fn of(address: IpAddr) -> Self {
        let address = mapped(address);
        let row = POLICIES
            .iter()
            .find(|(prefix, length, ..)| common_bits(*prefix, address) >= *length);
        match row {
            Some(&(_, _, precedence, label)) => Self { precedence, label },
            // The last row matches every address.
            None => Self {
                precedence: 40,
                label: 1,
            },
        }
    }
}

/// An address as IPv6; an IPv4 address in its mapped form.
fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(address) => address,
        IpAddr::V4(address) => address.to_ipv6_mapped(),
    }
}

fn common_bits(a: Ipv6Addr, b: Ipv6Addr) -> u32 {
    (a.to_bits() ^ b.to_bits()).leading_zeros()
}

/// CommonPrefixLen of RFC 6724, section 2.2: of 64 bits at most, the usual length of a source's
/// prefix.
fn common_prefix(source: IpAddr, destination: IpAddr) -> u32 {
    match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => common_bits(source, destination).min(64),
        _ => 0,
    }
}

const LINK_LOCAL: u8 = 0x2;
const SITE_LOCAL: u8 = 0x5;
const GLOBAL: u8 = 0xe;

/// The scope of an address (RFC 6724, sections 3.1 and 3.2), with the values of RFC 4291.
fn scope(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(a) if a.is_loopback() || a.is_link_local() => LINK_LOCAL,
        IpAddr::V4(_) => GLOBAL,
        IpAddr::V6(a) if a.is_multicast() => a.octets()[1] & 0xf,
        IpAddr::V6(a) if a.is_loopback() || a.segments()[0] & 0xffc0 == 0xfe80 => LINK_LOCAL,
        IpAddr::V6(a) if a.segments()[0] & 0xffc0 == 0xfec0 => SITE_LOCAL,
        IpAddr::V6(_) => GLOBAL,
    }
}

/// Asks the system by connecting a UDP socket, which sends nothing. `None`: it has no route.
pub(crate) fn source_address(destination: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = match destination {
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        IpAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    // Any port but 0.
    socket.connect((destination, 53)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
