//! What a server can do wrong on purpose, for the bench to show that it would see it.

use rustix::time::{ClockId, clock_gettime};
use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FaultOptions {
    /// Block the worker's thread at each Nth request of the server, for the time of --stall.
    #[arg(long, value_name = "N", requires = "stall")]
    stall_every: Option<NonZeroU64>,
    /// How long, such as 20ms.
    #[arg(long, value_name = "TIME", requires = "stall_every", value_parser = humantime::parse_duration)]
    stall: Option<Duration>,
    /// Burn so much CPU time at each request, such as 50us.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    spin: Option<Duration>,
}

static FAULTS: OnceLock<FaultOptions> = OnceLock::new();
/// Of all workers.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

impl FaultOptions {
    /// Lets all of it go wrong from now on.
    pub(crate) fn arm(&self) {
        // It's called once.
        let _ = FAULTS.set(self.clone());
    }
}

/// To be called at each request, before it's answered.
pub(crate) fn strike() {
    let Some(faults) = FAULTS.get() else {
        return;
    };
    if let Some((every, time)) = faults.stall_every.zip(faults.stall) {
        let request = REQUESTS.fetch_add(1, Relaxed) + 1;
        if request % every == 0 {
            thread::sleep(time);
        }
    }
    if let Some(time) = faults.spin {
        let end = cpu_time() + time;
        while cpu_time() < end {}
    }
}

/// This thread's: what another thread had of the core in the meantime doesn't count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
