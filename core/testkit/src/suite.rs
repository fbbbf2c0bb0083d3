//! Selects the cases that apply to a subject, and runs them.
use crate::{
    LocalSubject, Served,
    app::{Boxed, DELIBERATE, script::HandlerThread},
    cases::FILES,
    harness::{any_subject::AnySubject, concurrency},
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    any::Any,
    panic::{self, AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Duration,
};
use tokio::{runtime::Builder, time::timeout};

/// Time limit of one case. A case that takes longer fails.
const LIMIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

/// The behaviour suite, for one or more subjects.
#[derive(Default)]
#[must_use = "a suite does nothing unless it is run"]
pub struct Suite {
    trials: Vec<Trial>,
}

impl Suite {
    /// Creates a suite without a subject. Running it in this state fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a subject, with every case that applies to it.
    pub fn with<S: Served>(self, subject: S) -> Self {
        self.with_any(S::NAME, &AnySubject::new(subject))
    }

    /// Adds a subject whose workers have threads of their own. It also runs the cases that serve a
    /// `!Send` app.
    pub fn with_local<S: LocalSubject>(self, subject: S) -> Self {
        self.with_any(S::NAME, &AnySubject::new_local(subject))
    }

    fn with_any(mut self, prefix: &str, subject: &AnySubject) -> Self {
        let can = subject.capabilities();
        let unavailable_here = subject.unavailable();
        let mut applied = 0_usize;
        let cases = FILES
            .iter()
            .flat_map(|(file, cases)| cases.iter().map(move |case| (file, case)));
        let with_threads = cases.flat_map(|(file, case)| {
            let cross_thread = case
                .also_cross_thread
                .then_some((file, case, HandlerThread::Other));
            [(file, case, HandlerThread::Worker)]
                .into_iter()
                .chain(cross_thread)
        });
        for (file, case, thread) in with_threads {
            let suffix = match thread {
                HandlerThread::Worker => "",
                HandlerThread::Other => "_cross_thread",
            };
            let name = format!("{prefix}::{file}::{}{suffix}", case.name);
            let asked = format!("{file}: {}{suffix}", case.name).replace('_', " ");
            let (subject, run) = (subject.on(thread), case.run);
            let needed = case.needs.filter(|&needed| !can.have(needed));
            applied += usize::from(needed.is_none());
            let reason = needed.map(|needed| needed.needed().to_owned());
            let trial = match unavailable_here.clone().or(reason) {
                // This trial fails even with `--ignored`: a case that cannot run must never pass.
                Some(why) => {
                    let fails = Failed::from(&why);
                    Trial::test(name, move || Err(fails))
                        .with_kind(why)
                        .with_ignored_flag(true)
                }
                None => Trial::test(name, move || check(&asked, &subject, run)),
            };
            self.trials.push(trial);
        }
        let meta = move || match applied {
            0 => Err(Failed::from(
                "no case applies to this subject, so nothing was tested",
            )),
            _ => Ok(()),
        };
        self.trials.push(Trial::test(
            format!("{prefix}::suite::some_cases_apply"),
            meta,
        ));
        self
    }

    /// Runs the cases that the command line selects (filters, `--list`, `--ignored`), as `cargo
    /// test` does. Call it from the `main` of a test target with `harness = false`.
    #[must_use = "it says whether the tests failed"]
    pub fn run(self) -> ExitCode {
        if self.trials.is_empty() {
            eprintln!("error: the suite has no subject: add one by `.with(subject)`");
            return ExitCode::FAILURE;
        }
        hide_deliberate_panics();
        let mut arguments = Arguments::from_args();
        arguments
            .test_threads
            .get_or_insert_with(concurrency::max_concurrent_tests);
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}

/// Runs one case. A failure names the request and the result that was seen. The output of the panic
/// names the place.
fn check(
    asked: &str,
    subject: &AnySubject,
    run: fn(AnySubject) -> Boxed<()>,
) -> Result<(), Failed> {
    let seen = match catch_unwind(AssertUnwindSafe(|| run_case(subject, run))) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(panic) => text_of(&*panic)
            .unwrap_or("a panic without a text")
            .to_owned(),
    };
    Err(format!("asked of the transport: {asked}\nseen: {seen}").into())
}

/// Runs one case on a runtime of its own.
fn run_case(subject: &AnySubject, run: fn(AnySubject) -> Boxed<()>) -> Result<(), String> {
    concurrency::run_limited(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| format!("no tokio runtime for the client: {error}"))?;
        let result = runtime.block_on(async { timeout(LIMIT, run(subject.clone())).await });
        runtime.shutdown_background();
        result.map_err(|_| format!("the case is not done after {LIMIT:?}"))
    })
}

/// The message of a panic.
fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
}

/// Hides the panics that apps of the suite cause on purpose.
fn hide_deliberate_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = text_of(info.payload());
        let deliberate = text.is_some_and(|text| text.starts_with(DELIBERATE));
        if !deliberate {
            usual(info);
        }
    }));
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite")
            .field("trials", &self.trials.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, Capability};
    use std::collections::HashSet;

    #[test]
    fn names_of_cases_are_unique() {
        let suite = Suite::new()
            .with_any("one", &AnySubject::unserved(Capabilities::all()))
            .with_any("two", &AnySubject::unserved(Capabilities::all()));
        let names: HashSet<_> = suite.trials.iter().map(Trial::name).collect();
        assert_eq!(names.len(), suite.trials.len());
        assert!(names.contains("one::upgrade::extended_connect_echoes"));
    }

    #[test]
    fn missing_capability_ignores_a_case_with_the_reason() {
        let lacking = Capabilities::all().without(Capability::HalfClose);
        let suite = Suite::new().with_any("limited", &AnySubject::unserved(lacking));
        let kinds: HashSet<_> = suite
            .trials
            .iter()
            .filter(|trial| trial.has_ignored_flag())
            .map(Trial::kind)
            .collect();
        // `Local` is added by `with_local` only.
        assert_eq!(
            kinds,
            HashSet::from([
                "needs half-close",
                "needs workers with threads of their own"
            ])
        );
    }

    #[test]
    fn failure_says_what_was_asked_and_what_was_seen() {
        let failure = |run| {
            let subject = AnySubject::unserved(Capabilities::all());
            let error = check("drain: grace is kept", &subject, run).unwrap_err();
            error.message().unwrap().to_owned()
        };
        assert_eq!(
            failure(|_| Box::pin(std::future::pending())),
            "asked of the transport: drain: grace is kept\nseen: the case is not done after 1s"
        );
        assert_eq!(
            failure(|_| Box::pin(async { panic!("deliberate: failed") })),
            "asked of the transport: drain: grace is kept\nseen: deliberate: failed"
        );
    }
}
