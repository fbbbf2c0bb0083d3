//! What a server used while it answered.

use super::noise::Noise;
use anyport_bench_load::Latency;

/// What a window brought.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Window {
    /// Microseconds of CPU time that each took.
    pub(super) time: f64,
    /// How many there were in a second.
    pub(super) rate: f64,
    /// The share of its cores' time in which the server had something to do.
    pub(super) busy: f64,
    /// The same of the load; 0 for one that's never busy.
    pub(super) load_busy: f64,
    /// Whether it was the load that chose the rate: then nobody has to be busy.
    pub(super) is_paced: bool,
    /// How late the answers were, if that was looked at.
    pub(super) latency: Option<Latency>,
    pub(super) noise: Noise,
    /// Why nothing of it counts, if nothing disturbed it.
    pub(super) objection: Option<String>,
}

impl Window {
    /// Microseconds within which so large a share of the answers came, or the slowest one for 1.
    pub(in crate::bench) fn latency_within(&self, share: f64) -> f64 {
        let latency = self.latency.as_ref();
        latency.map_or(f64::NAN, |latency| {
            latency.percentile(100.0 * share).as_secs_f64() * 1e6
        })
    }
}
