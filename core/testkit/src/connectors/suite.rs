//! Selects the cases that apply to a connector, and runs them.
use super::{ConnectorSubject, cases, fixture::Fixture};
use crate::{app::Boxed, harness::concurrency};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    process::ExitCode,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{runtime::Builder, time::timeout};

/// Time limit of one case.
const LIMIT: Duration = Duration::from_secs(120);

/// Cases that count descriptors run alone.
static DESCRIPTORS: RwLock<()> = RwLock::new(());

/// The behaviour suite for one or more connectors.
#[derive(Default)]
#[must_use = "a suite does nothing unless it is run"]
pub struct ConnectorSuite {
    trials: Vec<Trial>,
}

/// A case for the connector of `S`.
pub(super) struct ConnectorCase<S> {
    pub(super) name: &'static str,
    pub(super) needs: fn(&S) -> Result<(), &'static str>,
    pub(super) runs_alone: bool,
    pub(super) run: fn(Fixture<S>) -> Boxed<()>,
}

impl ConnectorSuite {
    /// Creates a suite without a subject. Running it in this state fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a connector, with every case that applies to it.
    pub fn with<S: ConnectorSubject>(mut self, subject: S) -> Self {
        let unavailable = subject.unavailable();
        let subject = Arc::new(subject);
        self.trials
            .extend(cases::all::<S>().into_iter().map(|(file, case)| {
                let name = format!("{}::{file}::{}", S::NAME, case.name);
                let needs = (case.needs)(&subject).err().map(str::to_owned);
                match unavailable.clone().or(needs) {
                    // It fails even with `--ignored`: a case that cannot run must never pass.
                    Some(why) => {
                        let fails = Failed::from(&why);
                        Trial::test(name, move || Err(fails))
                            .with_kind(why)
                            .with_ignored_flag(true)
                    }
                    None => {
                        let subject = Arc::clone(&subject);
                        Trial::test(name, move || run(&subject, &case))
                    }
                }
            }));
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
        let mut arguments = Arguments::from_args();
        arguments
            .test_threads
            .get_or_insert_with(concurrency::max_concurrent_tests);
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}

fn run<S: ConnectorSubject>(subject: &Arc<S>, case: &ConnectorCase<S>) -> Result<(), Failed> {
    let (_alone, _beside) = match case.runs_alone {
        true => (
            Some(DESCRIPTORS.write().unwrap_or_else(PoisonError::into_inner)),
            None,
        ),
        false => (
            None,
            Some(DESCRIPTORS.read().unwrap_or_else(PoisonError::into_inner)),
        ),
    };
    concurrency::run_limited(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| format!("no tokio runtime for the peers: {error}"))?;
        let fixture = Fixture::new(Arc::clone(subject));
        let result = runtime.block_on(async { timeout(LIMIT, (case.run)(fixture)).await });
        runtime.shutdown_background();
        result.map_err(|_| format!("the case is not done after {LIMIT:?}").into())
    })
}

impl std::fmt::Debug for ConnectorSuite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectorSuite")
            .field("trials", &self.trials.len())
            .finish()
    }
}
