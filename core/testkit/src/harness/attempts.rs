//! Repeats a client that has to be faster than a timeout. On a busy machine it is sometimes late,
//! which says nothing about the server, so it tries again with a longer timeout.
use crate::harness::site::Site;
use std::{
    future::Future,
    panic::resume_unwind,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    task::{JoinError, JoinHandle},
    time::{Instant, timeout_at},
};

/// The deadlines of the attempts.
const DEADLINES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_millis(1500),
    Duration::from_secs(6),
];

/// What a step of an attempt may take beside ten of its deadlines. Afterwards it hangs.
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

    /// Waits for the end of an attempt, as long as it makes a step within `patience`. `None`: it
    /// hangs.
    async fn watch<T>(
        &self,
        mut attempt: JoinHandle<T>,
        patience: Duration,
    ) -> Option<Result<T, JoinError>> {
        loop {
            let since = self.0.lock().unwrap().last;
            if let Ok(ended) = timeout_at(since + patience, &mut attempt).await {
                return Some(ended);
            }
            if self.0.lock().unwrap().last == since {
                attempt.abort();
                return None;
            }
        }
    }

    fn longest(&self) -> Duration {
        self.0.lock().unwrap().longest
    }
}

/// Attempts the same with longer and longer deadlines, as long as one fails whose client needed
/// more than half a deadline for a step.
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
        let attempted = pace
            .watch(tokio::spawn(attempted), 10 * deadline + SLACK)
            .await;
        if let Some(Ok(())) = attempted {
            return;
        }
        let longest = pace.longest();
        if 2 * longest < deadline {
            // The client was fast enough.
            match attempted {
                Some(Err(error)) => resume_unwind(error.into_panic()),
                _ => panic!("with a deadline of {deadline:?} it hangs"),
            }
        }
        eprintln!(
            "of a deadline of {deadline:?} the client needed {longest:?} for one step: once more"
        );
    }
    attempt(site, *last, Pace::begin()).await;
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

    #[tokio::test(start_paused = true)]
    async fn who_makes_steps_does_not_hang_and_who_makes_none_does() {
        let site = || Site::imaginary(Capabilities::all());
        let end = Instant::now() + HOUR;
        in_time(site(), |_, _, pace| async move {
            while Instant::now() < end {
                tokio::time::sleep(SLACK / 2).await;
                pace.step();
            }
        })
        .await;
        let hangs = in_time(site(), |_, _, _| std::future::pending());
        tokio::spawn(hangs).await.unwrap_err();
    }

    #[tokio::test]
    async fn who_succeeds_is_done_however_late() {
        assert_eq!(attempts(&[HOUR; 3], HOUR, 1).await, (1, true));
    }
}
