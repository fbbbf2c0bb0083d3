//! The family of addresses by which each host was reached last.
use crate::family::Family;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long the winner's family is preferred (RFC 6555, section 4.2).
const LIFETIME: Duration = Duration::from_secs(600);

/// How many hosts are remembered.
const CAPACITY: usize = 256;

/// The families by which hosts were reached, shared by the clones of one
/// [`HappyEyeballs`](crate::HappyEyeballs).
#[derive(Clone, Debug, Default)]
pub(crate) struct FamilyMemory(Arc<Mutex<HashMap<Arc<str>, Entry>>>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    family: Family,
    since: Instant,
}

impl Entry {
    fn is_valid(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < LIFETIME
    }
}

impl FamilyMemory {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, host: &str, now: Instant) -> Option<Family> {
        let entry = *self.lock().get(host)?;
        entry.is_valid(now).then_some(entry.family)
    }

    /// Remembers the winner of a race in which both families had an address.
    ///
    /// If the remembered family wins again, its time is not extended. So the host is sorted afresh
    /// after ten minutes, even if connections never cease.
    pub(crate) fn set(&self, host: &Arc<str>, family: Family, now: Instant) {
        let mut hosts = self.lock();
        if let Some(known) = hosts.get(host)
            && known.family == family
            && known.is_valid(now)
        {
            return;
        }
        if hosts.len() >= CAPACITY && !hosts.contains_key(host) {
            hosts.retain(|_, entry| entry.is_valid(now));
            if hosts.len() >= CAPACITY {
                let oldest = hosts.iter().min_by_key(|(_, entry)| entry.since);
                if let Some(oldest) = oldest.map(|(host, _)| Arc::clone(host)) {
                    hosts.remove(&oldest);
                }
            }
        }
        hosts.insert(Arc::clone(host), Entry { family, since: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: usize) -> Arc<str> {
        format!("host-{number}").into()
    }

    #[test]
    fn family_is_remembered_for_ten_minutes_and_use_does_not_prolong_them() {
        let (memory, start) = (FamilyMemory::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        memory.set(&host(1), Family::V4, start);
        memory.set(&host(1), Family::V4, later(599));
        assert_eq!(memory.get("host-1", later(599)), Some(Family::V4));
        assert_eq!(memory.get("host-1", later(600)), None);
        memory.set(&host(1), Family::V6, later(300));
        assert_eq!(memory.get("host-1", later(600)), Some(Family::V6));
        assert_eq!(memory.get("host-2", start), None);
    }

    #[test]
    fn oldest_host_makes_room_for_a_new_one() {
        let (memory, start) = (FamilyMemory::default(), Instant::now());
        let at = |number: usize| start + Duration::from_millis(number as u64);
        for number in 0..=CAPACITY {
            memory.set(&host(number), Family::V4, at(number));
        }
        assert_eq!(memory.lock().len(), CAPACITY);
        assert_eq!(memory.get("host-0", at(CAPACITY)), None);
        assert_eq!(memory.get("host-1", at(CAPACITY)), Some(Family::V4));
        // Expired hosts are removed first.
        memory.set(
            &host(1000),
            Family::V6,
            start + LIFETIME + Duration::from_millis(9),
        );
        assert_eq!(memory.lock().len(), CAPACITY - 8);
    }
}
