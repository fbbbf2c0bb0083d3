//! A race between a scripted resolver and a scripted network.
use super::network::{MemoryConn, Network, Script};
use crate::{Answer, Connect, ConnectError, HappyEyeballs};
use anyport_core::Connection;
use std::net::IpAddr;

pub(super) type Scripted = HappyEyeballs<Network, Script>;

/// This machine has an IPv6 and an IPv4 address, both global.
pub(super) fn dual_stack(destination: IpAddr) -> Option<IpAddr> {
    match destination {
        loopback if loopback.is_loopback() => Some(loopback),
        IpAddr::V6(_) => "2001:db8::ffff".parse().ok(),
        IpAddr::V4(_) => "192.0.2.255".parse().ok(),
    }
}

/// This machine has no IPv6 address.
pub(super) fn only_ipv4(destination: IpAddr) -> Option<IpAddr> {
    dual_stack(destination).filter(IpAddr::is_ipv4)
}

pub(super) fn scripted(
    network: &Network,
    answers: impl Fn() -> Vec<(u64, Answer)> + Send + Sync + 'static,
) -> Scripted {
    HappyEyeballs::new(network.clone(), network.clock.timer())
        .with_resolver(Script::new(&network.clock, answers))
        .with_source(dual_stack)
}

pub(super) fn example(happy_eyeballs: &Scripted) -> Connect<Network, Script> {
    happy_eyeballs.connect("example.com", 443)
}

/// The winner, the time of its win, and the attempts.
pub(super) struct Run {
    pub(super) result: Result<String, ConnectError>,
    pub(super) millis: u64,
    pub(super) log: Vec<(u64, String)>,
}

/// Connects to `example.com`, and checks that nothing but the connection is left.
pub(super) fn run(network: &Network, happy_eyeballs: &Scripted) -> Run {
    let result: Result<MemoryConn, _> = network.clock.run(example(happy_eyeballs));
    assert_eq!(network.open_sockets(), 0, "no attempt is left");
    assert_eq!(network.clock.pending_sleeps(), 0, "no timer is left");
    Run {
        result: result.map(|connection| connection.info().peer().to_string()),
        millis: network.clock.millis(),
        log: network.log(),
    }
}

impl Run {
    pub(super) fn assert_won(&self, peer: &str, millis: u64, log: &[(u64, &str)]) {
        let result = self.result.as_ref().map_err(ToString::to_string);
        assert_eq!(result, Ok(&peer.to_owned()));
        self.assert_history(millis, log);
    }

    pub(super) fn assert_failed(&self, error: &str, millis: u64, log: &[(u64, &str)]) {
        let result = self.result.as_ref().map_err(ToString::to_string);
        assert_eq!(result.unwrap_err(), error);
        self.assert_history(millis, log);
    }

    /// Checks the attempts of the last run of several.
    pub(super) fn assert_history_ends_with(&self, expected: &[(u64, &str)]) {
        let log = self.log.iter().map(|(at, address)| (*at, &**address));
        let last: Vec<_> = log.skip(self.log.len() - expected.len()).collect();
        assert_eq!(last, expected);
    }

    fn assert_history(&self, millis: u64, expected: &[(u64, &str)]) {
        let log: Vec<_> = self
            .log
            .iter()
            .map(|(at, address)| (*at, &**address))
            .collect();
        assert_eq!((self.millis, &*log), (millis, expected));
    }
}
