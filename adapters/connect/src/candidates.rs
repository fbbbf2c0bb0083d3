//! The addresses that are still to be tried, sorted and interleaved.
use crate::{
    family::Family,
    order::{self, SourceAddress},
};
use std::{collections::VecDeque, net::IpAddr};

/// The addresses to try, one queue for each family.
#[derive(Debug)]
pub(crate) struct Candidates {
    queues: [VecDeque<IpAddr>; 2],
    /// The family of the best address.
    best: Family,
    /// The family of the address that was taken last.
    last: Option<Family>,
    /// All addresses so far, so that none is tried twice.
    seen: Vec<IpAddr>,
    /// How many addresses of each family are kept.
    max: usize,
    /// How many were not kept.
    dropped: usize,
    source: SourceAddress,
}

impl Candidates {
    pub(crate) fn new(max: usize, source: SourceAddress) -> Self {
        Self {
            queues: Default::default(),
            best: Family::V6,
            last: None,
            seen: Vec::new(),
            max,
            dropped: 0,
            source,
        }
    }

    /// Adds addresses, and sorts all that were not taken. Returns whether one is usable.
    ///
    /// Unspecified, multicast and broadcast addresses are not usable: no host has one, and Linux
    /// connects `0.0.0.0` to this machine.
    pub(crate) fn add(&mut self, addresses: impl IntoIterator<Item = IpAddr>) -> bool {
        let mut is_usable = false;
        let mut new = Vec::new();
        // An IPv4-mapped address is the IPv4 address.
        for address in addresses.into_iter().map(|address| address.to_canonical()) {
            if !is_unicast(address) {
                continue;
            }
            is_usable = true;
            let family = Family::of(address);
            if self.seen.contains(&address) {
                continue;
            }
            // The rest is neither compared nor sorted: an answer may have thousands.
            let of_family = self.seen.iter().filter(|seen| Family::of(**seen) == family);
            if of_family.count() >= self.max {
                self.dropped += 1;
                continue;
            }
            self.seen.push(address);
            new.push(address);
        }
        if new.is_empty() {
            return is_usable;
        }
        let waiting = self.queues.iter_mut().flat_map(std::mem::take);
        let mut sorted: Vec<IpAddr> = waiting.chain(new).collect();
        order::sort(&mut sorted, self.source);
        if let Some(best) = sorted.first() {
            self.best = Family::of(*best);
        }
        for address in sorted {
            self.queues[Family::of(address).index()].push_back(address);
        }
        is_usable
    }

    /// Adds the address that the user gave, without a check.
    pub(crate) fn add_literal(&mut self, address: IpAddr) {
        self.queues[Family::of(address).index()].push_back(address);
    }

    /// Takes the next address. The first one is of the preferred family, or else of the best
    /// address's family. Then the families take turns (RFC 8305, section 4, with a First Address
    /// Family Count of 1).
    pub(crate) fn next(&mut self, preferred: Option<Family>) -> Option<IpAddr> {
        let family = match self.last {
            Some(last) => last.other(),
            None => preferred.unwrap_or(self.best),
        };
        let mut take = |family: Family| self.queues[family.index()].pop_front();
        let address = take(family).or_else(|| take(family.other()))?;
        self.last = Some(Family::of(address));
        Some(address)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// Whether both families had an address.
    pub(crate) fn had_both(&self) -> bool {
        Family::BOTH
            .iter()
            .all(|family| self.seen.iter().any(|seen| Family::of(*seen) == *family))
    }

    /// How many addresses were not taken.
    pub(crate) fn untried(&self) -> usize {
        self.dropped + self.queues.iter().map(VecDeque::len).sum::<usize>()
    }
}

fn is_unicast(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || is_broadcast)
}
