//! Clients that have to be faster than a deadline. On a busy machine one of them is late now and then: that says nothing of the server, so it tries again with more time.
use crate::site::Site;
use std::{
    future::Future,
    panic::resume_unwind,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{task::JoinError, time::timeout};

/// The deadlines of the attempts.
const DEADLINES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_millis(1500),
    Duration::from_secs(6),
];

/// What an attempt may take beside its deadlines. Afterwards it hangs.
const SLACK: Duration = Duration::from_secs(10);

/// How long a client takes from one of its steps to the next.
#[derive(Clone)]
pub(crate) struct Pace(Arc<Mutex<Steps>>);

struct Steps {
    last: Instant,
    longest: Duration,
}

impl Pace {
    fn begin() -> Self {
        let (last, longest) = (Instant::now(), Duration::ZERO);
        Self(Arc::new(Mutex::new(Steps { last, longest })))
    }

    /// The client has done what the server waited for.
    pub(crate) fn step(&self) {
        let mut steps = self.0.lock().unwrap();
        steps.longest = steps.longest.max(steps.last.elapsed());
        steps.last = Instant::now();
    }

    /// Time has passed that's the server's own: the next step begins now.
    pub(crate) fn rest(&self) {
        self.0.lock().unwrap().last = Instant::now();
    }

    fn longest(&self) -> Duration {
        self.0.lock().unwrap().longest
    }
}

/// Attempts the same with longer and longer deadlines, as long as one fails whose client needed more than half a deadline for a step.
pub(crate) async fn in_time<F>(site: Site, attempt: impl Fn(Site, Duration, Pace) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    in_time_of(&DEADLINES, site, attempt).await;
}

/// The same where the deadlines are not a test's to choose.
pub(crate) async fn in_time_of<F>(
    deadlines: &[Duration],
    site: Site,
    attempt: impl Fn(Site, Duration, Pace) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (last, first) = deadlines.split_last().expect("at least one deadline");
    for &deadline in first {
        let pace = Pace::begin();
        let attempted = attempt(site.clone(), deadline, pace.clone());
        let attempted = tokio::spawn(timeout(10 * deadline + SLACK, attempted)).await;
        if let Ok(Ok(())) = attempted {
            return;
        }
        let longest = pace.longest();
        if 2 * longest < deadline {
            fail(attempted.map_err(JoinError::into_panic), deadline);
        }
        eprintln!("of a deadline of {deadline:?} the client needed {longest:?} for one step: once more");
    }
    attempt(site, *last, Pace::begin()).await;
}

/// The client was fast enough.
fn fail<T, E>(attempted: Result<Result<T, E>, Box<dyn std::any::Any + Send>>, deadline: Duration) -> ! {
    match attempted {
        Err(panic) => resume_unwind(panic),
        Ok(_) => panic!("with a deadline of {deadline:?} it hangs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Capabilities;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// How many attempts there were, and whether the last one succeeded.
    async fn attempts(deadlines: &[Duration], step: Duration, right: usize) -> (usize, bool) {
        let (site, made) = (
            Site::imaginary(Capabilities::all()),
            Arc::new(AtomicUsize::new(0)),
        );
        let count = Arc::clone(&made);
        let deadlines = deadlines.to_vec();
        let all = tokio::spawn(async move {
            in_time_of(&deadlines, site, |_, _, pace| {
                let nth = count.fetch_add(1, SeqCst) + 1;
                async move {
                    pace.0.lock().unwrap().last -= step;
                    pace.step();
                    assert_eq!(nth, right, "deliberate: not this time");
                }
            })
            .await;
        });
        let succeeded = all.await.is_ok();
        (made.load(SeqCst), succeeded)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn who_fails_in_time_has_failed() {
        assert_eq!(attempts(&[HOUR; 3], Duration::ZERO, 2).await, (1, false));
    }

    #[tokio::test]
    async fn who_fails_because_of_its_own_step_tries_again() {
        assert_eq!(attempts(&[HOUR; 3], HOUR, 2).await, (2, true));
        assert_eq!(attempts(&[HOUR; 3], HOUR, 4).await, (3, false));
    }

    #[tokio::test]
    async fn who_succeeds_is_done_however_late() {
        assert_eq!(attempts(&[HOUR; 3], HOUR, 1).await, (1, true));
    }
}
