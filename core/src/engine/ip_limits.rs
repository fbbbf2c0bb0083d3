//! The limit of connections per IP address.
use crate::{runtime::lock, transport::Endpoint};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
};

/// Counts the open connections of each address. Without a limit, nothing is counted.
#[derive(Debug)]
pub(crate) struct IpLimits {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl IpLimits {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Mutex::default(),
        }
    }

    /// `Err`: this client has as many connections as allowed. `Ok`: what has to be passed to
    /// [`leave`](Self::leave) at the end.
    pub(crate) fn enter(&self, peer: &Endpoint) -> Result<Option<IpAddr>, ()> {
        let Some(ip) = (self.limit < usize::MAX).then(|| client(peer)).flatten() else {
            return Ok(None);
        };
        let mut open = lock(&self.open);
        let count = open.entry(ip).or_default();
        if *count >= self.limit {
            return Err(());
        }
        *count += 1;
        Ok(Some(ip))
    }

    pub(crate) fn leave(&self, ip: IpAddr) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                open.remove(&ip);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or a /64 prefix of IPv6.
fn client(peer: &Endpoint) -> Option<IpAddr> {
    Some(match peer.socket_addr()?.ip().to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ipv4 => ipv4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn peer(ip: &str) -> Endpoint {
        SocketAddr::new(ip.parse().unwrap(), 1).into()
    }

    #[test]
    fn limit_of_an_address_is_exact() {
        let addresses = IpLimits::new(1);
        let ip = addresses.enter(&peer("10.0.0.1")).unwrap().unwrap();
        assert!(addresses.enter(&peer("10.0.0.1")).is_err());
        assert!(
            addresses.enter(&peer("::ffff:10.0.0.1")).is_err(),
            "the same, mapped"
        );
        assert!(addresses.enter(&peer("10.0.0.2")).is_ok());
        addresses.leave(ip);
        assert!(addresses.enter(&peer("10.0.0.1")).is_ok());
    }

    #[test]
    fn ipv6_addresses_count_by_their_64_bit_prefix() {
        let addresses = IpLimits::new(1);
        assert!(addresses.enter(&peer("2001:db8::1")).is_ok());
        assert!(addresses.enter(&peer("2001:db8::ffff:1")).is_err());
        assert!(addresses.enter(&peer("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn endpoint_without_an_ip_address_has_no_limit() {
        let addresses = IpLimits::new(1);
        for _ in 0..3 {
            assert_eq!(addresses.enter(&Endpoint::custom("pipe")), Ok(None));
        }
    }
}
