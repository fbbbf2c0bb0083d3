//! The peers whose headers are trusted.
use anyport_core::{ConnInfo, Error, Result, transport::Endpoint};
use ipnet::IpNet;
use std::net::IpAddr;

/// The peers that are trusted to name their clients.
///
/// A list of networks converts into a `Trusted`: `["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]`. An
/// IPv4 network also contains the IPv6 addresses that are mapped from it (`::ffff:10.0.0.1`, RFC
/// 4291 2.5.5.2).
///
/// # Errors
///
/// An entry that is not a network is an error when the server starts.
///
/// ```
/// # use anyport_proxy_protocol::{Policy, Trusted};
/// let balancers = Trusted::networks(["10.0.0.0/8"]).with_unix_users([0, 33]);
/// let policy = Policy::required_from(balancers);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    everyone: bool,
    networks: Vec<IpNet>,
    unix: Unix,
    /// The first entry that is not a network.
    invalid: Option<String>,
}

#[derive(Clone, Debug, Default)]
enum Unix {
    #[default]
    No,
    All,
    /// Peers that run as one of these users.
    Users(Vec<u32>),
}

/// Whether a peer is trusted, judged by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Yes,
    No,
    /// The user of the peer decides, which is known after the handshake.
    DependsOnUser,
}

impl Trusted {
    /// Peers whose IP address is in one of these networks. A single address is also a network.
    pub fn networks(networks: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let mut trusted = Self::default();
        for network in networks {
            let network = network.as_ref().trim();
            match parse(network) {
                Some(network) => trusted.networks.push(network),
                None => {
                    trusted.invalid.get_or_insert_with(|| network.to_owned());
                }
            }
        }
        trusted
    }

    /// Every peer on a Unix socket: for a socket that only the balancer may open.
    pub fn unix() -> Self {
        Self::default().with_unix()
    }

    /// Every peer: for a listener that nothing but the balancer can reach.
    pub fn everyone() -> Self {
        Self {
            everyone: true,
            ..Self::default()
        }
    }

    /// Also trusts every peer on a Unix socket.
    #[must_use]
    pub fn with_unix(mut self) -> Self {
        self.unix = Unix::All;
        self
    }

    /// Also trusts peers on a Unix socket that run as one of these users (SO_PEERCRED, unix(7)).
    #[must_use]
    pub fn with_unix_users(mut self, users: impl IntoIterator<Item = u32>) -> Self {
        let users = users.into_iter();
        match &mut self.unix {
            Unix::All => {}
            Unix::Users(known) => known.extend(users),
            Unix::No => self.unix = Unix::Users(users.collect()),
        }
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if let Some(network) = &self.invalid {
            return Err(Error::config(format!(
                "{network:?} is not a network: write it like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"
            )));
        }
        let no_user = matches!(&self.unix, Unix::Users(users) if users.is_empty());
        if !self.everyone && self.networks.is_empty() && (no_user || matches!(self.unix, Unix::No))
        {
            return Err(Error::config(
                "no proxy is trusted, so no header could be read: name the networks of the balancer",
            ));
        }
        Ok(())
    }

    /// Whether a peer with this address is trusted.
    pub(crate) fn endpoint(&self, peer: &Endpoint) -> Trust {
        let is_trusted = self.everyone
            || match peer {
                Endpoint::Tcp(address) => self.contains(address.ip()),
                Endpoint::Unix(_) => match self.unix {
                    Unix::All => true,
                    Unix::Users(_) => return Trust::DependsOnUser,
                    Unix::No => false,
                },
                _ => false,
            };
        if is_trusted { Trust::Yes } else { Trust::No }
    }

    /// Whether the peer of this connection is trusted.
    pub(crate) fn connection(&self, info: &ConnInfo) -> bool {
        match (self.endpoint(info.peer()), &self.unix) {
            (Trust::Yes, _) => true,
            (Trust::DependsOnUser, Unix::Users(users)) => info
                .peer_cred()
                .is_some_and(|cred| users.contains(&cred.uid)),
            _ => false,
        }
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.everyone
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }
}

fn parse(network: &str) -> Option<IpNet> {
    let network = match network.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(network.parse::<IpAddr>().ok()?),
    };
    // Addresses are compared in their canonical form, so a mapped network is converted as well.
    match network {
        IpNet::V6(mapped) if mapped.prefix_len() >= 96 => match mapped.addr().to_canonical() {
            IpAddr::V4(address) => IpNet::new(address.into(), mapped.prefix_len() - 96).ok(),
            IpAddr::V6(_) => Some(network),
        },
        _ => Some(network),
    }
}

impl<I: IntoIterator<Item: AsRef<str>>> From<I> for Trusted {
    fn from(networks: I) -> Self {
        Self::networks(networks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyport_core::transport::{PeerCred, UnixName};
    use std::net::SocketAddr;

    fn contains(networks: &[&str], address: &str) -> bool {
        let peer = Endpoint::from(SocketAddr::new(address.parse().unwrap(), 1));
        Trusted::networks(networks).endpoint(&peer) == Trust::Yes
    }

    #[test]
    fn ipv4_network_contains_mapped_addresses() {
        for network in ["10.0.0.0/8", "::ffff:10.0.0.0/104"] {
            assert!(contains(&[network], "10.1.2.3"), "{network}");
            assert!(contains(&[network], "::ffff:10.1.2.3"), "{network}");
            assert!(!contains(&[network], "11.1.2.3"), "{network}");
            assert!(!contains(&[network], "::10.1.2.3"), "{network}");
        }
        assert!(contains(&["2001:db8::/32", "192.0.2.7"], "192.0.2.7"));
        assert!(contains(&["2001:db8::/32", "192.0.2.7"], "2001:db8::1"));
        assert!(!contains(&["2001:db8::/32", "192.0.2.7"], "192.0.2.8"));
        assert!(contains(&["::/0"], "2001:db8::1") && !contains(&["::/0"], "192.0.2.7"));
    }

    #[test]
    fn invalid_networks_are_errors_that_name_them() {
        for network in ["10.0.0.0/33", "balancer", "", "10.0.0/8", "2001:db8::/129"] {
            let error = Trusted::networks(["192.0.2.7", network])
                .check()
                .unwrap_err();
            assert!(
                error.to_string().contains(&format!("{network:?}")),
                "{error}"
            );
        }
        for nobody in [Trusted::default(), Trusted::default().with_unix_users([])] {
            let error = nobody.check().unwrap_err().to_string();
            assert!(error.contains("no proxy is trusted"), "{error}");
        }
        Trusted::unix().check().unwrap();
        Trusted::everyone().check().unwrap();
    }

    #[test]
    fn unix_peers_are_trusted_as_a_whole_or_by_their_user() {
        let unix = Endpoint::Unix(UnixName::Unnamed);
        let info = ConnInfo::new(unix.clone(), unix.clone());
        let of_user = |uid| info.clone().with_peer_cred(PeerCred::new(uid, 1000));
        assert!(!Trusted::networks(["0.0.0.0/0"]).connection(&of_user(33)));
        assert!(Trusted::unix().connection(&info));
        let users = Trusted::default().with_unix_users([33]);
        assert_eq!(users.endpoint(&unix), Trust::DependsOnUser);
        assert!(users.connection(&of_user(33)));
        assert!(!users.connection(&of_user(34)));
        assert!(!users.connection(&info), "a peer without credentials");
    }
}
