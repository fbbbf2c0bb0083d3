//! The limit of connections per IP address.
use crate::{runtime::lock, transport::Endpoint};
use slab::Slab;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Mutex,
};

/// Counts the open connections of each address. Without a limit, nothing is counted.
#[derive(Debug)]
pub(crate) struct IpLimits {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    keys: HashMap<IpAddr, usize>,
    clients: Slab<Client>,
}

#[derive(Debug)]
struct Client {
    ip: IpAddr,
    connections: usize,
}

/// The number of the address that a connection counts for. It is smaller than an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpSlot(NonZeroU32);

impl IpSlot {
    fn of(key: usize) -> Option<Self> {
        let number = u32::try_from(key).ok()?.checked_add(1)?;
        NonZeroU32::new(number).map(Self)
    }

    fn key(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The slot as a number, for [`from_bits`](Self::from_bits). `None` is 0.
    pub(crate) fn bits(slot: Option<Self>) -> u32 {
        slot.map_or(0, |slot| slot.0.get())
    }

    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        NonZeroU32::new(bits).map(Self)
    }
}

impl IpLimits {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Mutex::default(),
        }
    }

    /// Counts a connection of this client. `Err`: the client has as many as allowed. `Ok`: the slot
    /// to pass to [`leave`](Self::leave) at the end.
    pub(crate) fn enter(&self, peer: &Endpoint) -> Result<Option<IpSlot>, ()> {
        let Some(ip) = (self.limit < usize::MAX).then(|| client(peer)).flatten() else {
            return Ok(None);
        };
        let mut open = lock(&self.open);
        let Open { keys, clients } = &mut *open;
        let key = *keys
            .entry(ip)
            .or_insert_with(|| clients.insert(Client { ip, connections: 0 }));
        let (Some(client), Some(slot)) = (clients.get_mut(key), IpSlot::of(key)) else {
            return Err(());
        };
        if client.connections >= self.limit {
            return Err(());
        }
        client.connections += 1;
        Ok(Some(slot))
    }

    pub(crate) fn leave(&self, slot: IpSlot) {
        let mut open = lock(&self.open);
        let Some(client) = open.clients.get_mut(slot.key()) else {
            return;
        };
        client.connections -= 1;
        if client.connections == 0 {
            let ip = open.clients.remove(slot.key()).ip;
            open.keys.remove(&ip);
        }
    }
}

/// The address that stands for one client: an IPv4 address, or a /64 prefix of IPv6.
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
        let slot = addresses.enter(&peer("10.0.0.1")).unwrap().unwrap();
        assert!(addresses.enter(&peer("10.0.0.1")).is_err());
        assert!(
            addresses.enter(&peer("::ffff:10.0.0.1")).is_err(),
            "the same, mapped"
        );
        assert!(addresses.enter(&peer("10.0.0.2")).is_ok());
        addresses.leave(slot);
        assert!(addresses.enter(&peer("10.0.0.1")).is_ok());
    }

    #[test]
    fn address_without_connections_takes_no_memory() {
        let addresses = IpLimits::new(2);
        for round in 0..3_u8 {
            let slots: Vec<IpSlot> = (0..200_u8)
                .filter_map(|last| {
                    addresses
                        .enter(&peer(&format!("10.0.{round}.{last}")))
                        .unwrap()
                })
                .collect();
            assert_eq!(slots.len(), 200);
            for slot in slots {
                assert_eq!(IpSlot::from_bits(IpSlot::bits(Some(slot))), Some(slot));
                addresses.leave(slot);
            }
        }
        let open = lock(&addresses.open);
        assert!(open.keys.is_empty() && open.clients.is_empty());
        assert!(open.clients.capacity() < 600, "slots are used again");
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
