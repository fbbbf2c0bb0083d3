//! Collects the tests that apply to each subject, and runs them.
use crate::{
    LocalSubject, Served,
    app::{Boxed, DELIBERATE, script::Place},
    cases::FILES,
    harness::{room, site::Site},
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{panic, process::ExitCode, time::Duration};
use tokio::{runtime::Builder, time::timeout};

/// No test takes longer: what hangs, fails.
const LIMIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

/// The behaviour suite, for one or more subjects.
#[derive(Default)]
#[must_use = "a suite does nothing unless it's run"]
pub struct Suite {
    trials: Vec<Trial>,
}

impl Suite {
    /// Without a subject yet; running it so fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a subject: every test that applies to it.
    pub fn with<S: Served>(self, subject: S) -> Self {
        self.with_site(S::NAME, &Site::new(subject))
    }

    /// Adds a subject whose workers have threads of their own: also the tests that serve a `!Send`
    /// app.
    pub fn with_local<S: LocalSubject>(self, subject: S) -> Self {
        self.with_site(S::NAME, &Site::new_local(subject))
    }

    fn with_site(mut self, subject: &str, site: &Site) -> Self {
        let can = site.capabilities();
        let missing_here = site.missing();
        let mut applied = 0_usize;
        let cases = FILES
            .iter()
            .flat_map(|(file, cases)| cases.iter().map(move |case| (file, case)));
        let with_places = cases.flat_map(|(file, case)| {
            let abroad = case.also_abroad.then_some((file, case, Place::Abroad));
            [(file, case, Place::Home)].into_iter().chain(abroad)
        });
        for (file, case, place) in with_places {
            let suffix = match place {
                Place::Home => "",
                Place::Abroad => "_abroad",
            };
            let (name, site, run) = (
                format!("{subject}::{file}::{}{suffix}", case.name),
                site.at(place),
                case.run,
            );
            let needed = case.needs.filter(|&needed| !can.have(needed));
            applied += usize::from(needed.is_none());
            let reason = needed.map(|needed| needed.needed().to_owned());
            let trial = match missing_here.clone().or(reason) {
                // Also if somebody asks for ignored tests: a test that can't be run is never green.
                Some(why) => {
                    let fails = Failed::from(&why);
                    Trial::test(name, move || Err(fails))
                        .with_kind(why)
                        .with_ignored_flag(true)
                }
                None => Trial::test(name.clone(), move || perform(&name, &site, run)),
            };
            self.trials.push(trial);
        }
        let meta = move || match applied {
            0 => Err(Failed::from(
                "no test applies to this subject: nothing was tested",
            )),
            _ => Ok(()),
        };
        self.trials.push(Trial::test(
            format!("{subject}::suite::some_tests_apply"),
            meta,
        ));
        self
    }

    /// Runs what the command line asks for, as `cargo test` does: filters, `--list`, `--ignored`.
    /// For the `main` of a test target with `harness = false`.
    #[must_use = "it says whether the tests failed"]
    pub fn run(self) -> ExitCode {
        if self.trials.is_empty() {
            eprintln!("error: the suite has no subject: add one by `.with(subject)`");
            return ExitCode::FAILURE;
        }
        hide_deliberate_panics();
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert_with(room::at_once);
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}

/// Runs one test on a runtime of its own.
fn perform(name: &str, site: &Site, run: fn(Site) -> Boxed<()>) -> Result<(), Failed> {
    room::make_use(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let result = runtime.block_on(async { timeout(LIMIT, run(site.clone())).await });
        runtime.shutdown_background();
        result.map_err(|_| Failed::from(format!("{name} is not done after {LIMIT:?}")))
    })
}

/// Apps of the suite panic on purpose: that needs no trace in the output.
fn hide_deliberate_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
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
    fn every_name_is_there_once() {
        let suite = Suite::new()
            .with_site("one", &Site::imaginary(Capabilities::all()))
            .with_site("two", &Site::imaginary(Capabilities::all()));
        let names: HashSet<_> = suite.trials.iter().map(Trial::name).collect();
        assert_eq!(names.len(), suite.trials.len());
        assert!(names.contains("one::upgrade::an_extended_connect_echoes"));
    }

    #[test]
    fn what_a_transport_lacks_is_ignored_with_the_reason() {
        let lacking = Capabilities::all().without(Capability::HalfClose);
        let suite = Suite::new().with_site("lame", &Site::imaginary(lacking));
        let kinds: HashSet<_> = suite
            .trials
            .iter()
            .filter(|trial| trial.has_ignored_flag())
            .map(Trial::kind)
            .collect();
        // Nobody said that its workers have threads of their own.
        assert_eq!(
            kinds,
            HashSet::from([
                "needs half-close",
                "needs workers with threads of their own"
            ])
        );
    }

    #[test]
    fn what_hangs_fails() {
        let error = perform("hangs", &Site::imaginary(Capabilities::all()), |_| {
            Box::pin(std::future::pending())
        });
        let message = error.unwrap_err().message().unwrap().to_owned();
        assert!(message.contains("hangs is not done"), "{message}");
    }
}
