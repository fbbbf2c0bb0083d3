//! Addresses from a table, as in hosts(5).
use super::{Answer, Resolve};
use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A resolver that knows the hosts of a table and no others: for static hosts and for tests.
///
/// ```
/// use anyport_connect::Hosts;
/// use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
///
/// let hosts = Hosts::new()
///     .with("db.internal", [IpAddr::from(Ipv4Addr::new(10, 0, 0, 7))])
///     .with("api.internal", [
///         IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7)),
///         IpAddr::from(Ipv4Addr::new(10, 0, 0, 8)),
///     ]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<HashMap<String, Vec<IpAddr>>>);

impl Hosts {
    /// A table without hosts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a host, or replaces it. Case does not matter, nor does a dot at the end.
    #[must_use]
    pub fn with(mut self, host: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Arc::make_mut(&mut self.0).insert(key(host), addresses.into_iter().collect());
        self
    }
}

fn key(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

impl Resolve for Hosts {
    type Answers = HostAnswers;

    fn resolve(&self, host: &str) -> HostAnswers {
        let mut six = Vec::new();
        let mut four = Vec::new();
        let known = self.0.get(&key(host));
        for address in known.into_iter().flatten() {
            match *address {
                IpAddr::V6(address) => six.push(address),
                IpAddr::V4(address) => four.push(address),
            }
        }
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "not in the table of hosts");
        let answers = match known {
            Some(_) => [Answer::Aaaa(Ok(six)), Answer::A(Ok(four))],
            None => [Answer::Aaaa(Err(unknown())), Answer::A(Err(unknown()))],
        };
        HostAnswers(answers.into_iter())
    }
}

/// The answers of [`Hosts`], all ready at once.
#[derive(Debug)]
pub struct HostAnswers(std::array::IntoIter<Answer, 2>);

impl futures_core::Stream for HostAnswers {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Answer>> {
        Poll::Ready(self.0.next())
    }
}
