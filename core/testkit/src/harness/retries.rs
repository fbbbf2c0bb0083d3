//! Retries for clients that must be faster than a timeout of the server. On a busy machine a client
//! may be late, which proves nothing about the server. The attempt is then repeated with a longer
//! timeout.
use crate::harness::{any_subject::AnySubject, watch};
use futures_util::FutureExt;
use std::{
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    sync::{Arc, Mutex},
    thread::Result,
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// The timeouts of the attempts.
const DEADLINES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_millis(1500),
    Duration::from_secs(6),
];

/// An attempt hangs if no step completes within ten timeouts and this.
const SLACK: Duration = Duration::from_secs(10);

/// Measures how long a client takes for each step.
#[derive(Clone)]
pub(crate) struct ClientTimer(Arc<Mutex<Steps>>);

struct Steps {
    last: Instant,
    longest: Duration,
}

impl ClientTimer {
    fn begin() -> Self {
        let (last, longest) = (Instant::now(), Duration::ZERO);
        Self(Arc::new(Mutex::new(Steps { last, longest })))
    }

    /// Ends a step: the client has done what the server waited for.
    pub(crate) fn step(&self) {
        let mut steps = self.0.lock().unwrap();
        steps.longest = steps.longest.max(steps.last.elapsed());
        steps.last = Instant::now();
    }

    /// Starts the next step now. The time until now was spent by the server.
    pub(crate) fn restart(&self) {
        self.0.lock().unwrap().last = Instant::now();
    }

    /// Runs an attempt while a step completes within each `limit`. Returns `None` if the attempt
    /// hangs. The attempt is no task of its own: tokio could put it behind a handler that blocks.
    async fn run(
        &self,
        attempt: Pin<Box<impl Future<Output = ()>>>,
        limit: Duration,
    ) -> Option<Result<()>> {
        let mut attempt = AssertUnwindSafe(attempt).catch_unwind();
        loop {
            let since = self.0.lock().unwrap().last;
            if let Ok(ended) = timeout_at(since + limit, &mut attempt).await {
                return Some(ended);
            }
            if self.0.lock().unwrap().last == since {
                return None;
            }
        }
    }

    fn longest(&self) -> Duration {
        self.0.lock().unwrap().longest
    }
}

/// Runs an attempt. Repeats it with a longer timeout if it failed and a step of the client took
/// more than half of the timeout.
pub(crate) async fn retry_if_late<F>(
    subject: AnySubject,
    attempt: impl Fn(AnySubject, Duration, ClientTimer) -> F,
) where
    F: Future<Output = ()>,
{
    let deadlines = DEADLINES.map(|deadline| deadline * watch::wait_factor());
    retry_if_late_with(&deadlines, subject, attempt).await;
}

/// Does the same as [`retry_if_late`], for a case whose timeouts are fixed: a slow transport does
/// not extend them.
pub(crate) async fn retry_if_late_with<F>(
    deadlines: &[Duration],
    subject: AnySubject,
    attempt: impl Fn(AnySubject, Duration, ClientTimer) -> F,
) where
    F: Future<Output = ()>,
{
    let (&last, first) = deadlines.split_last().expect("at least one deadline");
    let slack = SLACK * watch::wait_factor();
    for &deadline in first {
        let timer = ClientTimer::begin();
        // Boxed, because some are too large for the stack of a test's thread.
        let attempt = Box::pin(attempt(subject.clone(), deadline, timer.clone()));
        let attempted = timer.run(attempt, 10 * deadline + slack).await;
        match attempted {
            Some(Ok(())) => return,
            // The step that failed counts: a late client finds its connection closed.
            Some(Err(_)) => timer.step(),
            None => {}
        }
        let longest = timer.longest();
        if 2 * longest < deadline {
            // The client was fast enough, so the server caused the failure.
            match attempted {
                Some(Err(panic)) => resume_unwind(panic),
                _ => panic!("with a timeout of {deadline:?} the attempt hangs: no step completed"),
            }
        }
        eprintln!(
            "with a timeout of {deadline:?} the client needed {longest:?} for one step; trying again"
        );
    }
    Box::pin(attempt(subject, last, ClientTimer::begin())).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Capabilities;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// Returns the number of attempts, and whether the last one succeeded.
    async fn attempts(deadlines: &[Duration], step: Duration, right: usize) -> (usize, bool) {
        let (subject, made) = (
            AnySubject::unserved(Capabilities::all()),
            Arc::new(AtomicUsize::new(0)),
        );
        let count = Arc::clone(&made);
        let deadlines = deadlines.to_vec();
        let all = tokio::spawn(async move {
            retry_if_late_with(&deadlines, subject, |_, _, timer| {
                let nth = count.fetch_add(1, SeqCst) + 1;
                async move {
                    timer.0.lock().unwrap().last -= step;
                    assert_eq!(nth, right, "deliberate: fails this time");
                    timer.step();
                }
            })
            .await;
        });
        let succeeded = all.await.is_ok();
        (made.load(SeqCst), succeeded)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn failure_of_a_fast_client_is_final() {
        assert_eq!(attempts(&[HOUR; 3], Duration::ZERO, 2).await, (1, false));
    }

    #[tokio::test]
    async fn failure_of_a_late_client_is_retried() {
        assert_eq!(attempts(&[HOUR; 3], HOUR, 2).await, (2, true));
        assert_eq!(attempts(&[HOUR; 3], HOUR, 4).await, (3, false));
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_without_steps_hangs() {
        let subject = || AnySubject::unserved(Capabilities::all());
        let end = Instant::now() + HOUR;
        retry_if_late(subject(), |_, _, timer| async move {
            while Instant::now() < end {
                tokio::time::sleep(SLACK / 2).await;
                timer.step();
            }
        })
        .await;
        let hangs = retry_if_late(subject(), |_, _, _| std::future::pending());
        tokio::spawn(hangs).await.unwrap_err();
    }

    #[tokio::test]
    async fn success_of_a_late_client_is_final() {
        assert_eq!(attempts(&[HOUR; 3], HOUR, 1).await, (1, true));
    }
}
