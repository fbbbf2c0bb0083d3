//! Tests with a requirement that not every machine meets. Where it is not met, the tests are
//! ignored with the reason. Libtest cannot ignore a test at run time, so such a target sets
//! `harness = false`.
use anyport_core::Server;
use libtest_mimic::{Arguments, Failed, Trial};
use std::{env, future::Future, process::ExitCode};
use tokio::runtime::Builder;

/// How many tests run at once: tests wait more than they compute.
const AT_ONCE: usize = 8;

/// The tests of a target.
#[derive(Default)]
#[must_use = "tests do nothing unless they're run"]
pub struct Tests(Vec<Trial>);

impl Tests {
    /// Adds a test that runs everywhere.
    pub fn always(self, name: &str, body: impl FnOnce() + Send + 'static) -> Self {
        self.unless(None, name, body)
    }

    /// Adds a test that is ignored for this reason, if there is one.
    pub fn unless(
        mut self,
        missing: Option<String>,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Self {
        let trial = match missing {
            // This test fails even with `--ignored`: a test that cannot run must never pass.
            Some(why) => {
                let fails = Failed::from(&why);
                Trial::test(name, move || Err(fails))
                    .with_kind(why)
                    .with_ignored_flag(true)
            }
            None => Trial::test(name, move || {
                body();
                Ok(())
            }),
        };
        self.0.push(trial);
        self
    }

    /// Does the same as [`run`](Self::run), one test after the other. It is for tests that count
    /// what the whole process has, such as descriptors.
    #[must_use = "it says whether the tests failed"]
    pub fn run_one_at_a_time(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads = Some(1);
        libtest_mimic::run(&arguments, self.0).exit_code()
    }

    /// Runs the tests that the command line selects, as `cargo test` does. Call it from `main`.
    #[must_use = "it says whether the tests failed"]
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(AT_ONCE);
        libtest_mimic::run(&arguments, self.0).exit_code()
    }
}

impl std::fmt::Debug for Tests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tests")
            .field("trials", &self.0.len())
            .finish()
    }
}

/// Defines the `main` of a target whose tests all have the same requirement. Where it is not met,
/// the tests are ignored with the reason. A test is an async function without parameters;
/// `blocking` marks a function that is not async.
///
/// ```
/// # mod fixture { pub(crate) fn missing() -> Option<String> { None } }
/// async fn a_test() {}
/// fn another() {}
///
/// anyport_testkit::tests_unless!(fixture::missing(); a_test, blocking another);
/// ```
#[macro_export]
macro_rules! tests_unless {
    ($missing:expr; $($rest:tt)+) => {
        fn main() -> ::std::process::ExitCode {
            let missing: Option<String> = $missing;
            let tests = $crate::requirements::Tests::default();
            $crate::tests_unless!(@add tests, missing; $($rest)+)
        }
    };
    (@add $tests:expr, $missing:ident; blocking $name:path $(, $($rest:tt)*)?) => {{
        let tests = $tests.unless($missing.clone(), stringify!($name), $name);
        $crate::tests_unless!(@add tests, $missing; $($($rest)*)?)
    }};
    (@add $tests:expr, $missing:ident; $name:path $(, $($rest:tt)*)?) => {{
        let run = || $crate::requirements::block_on($name());
        let tests = $tests.unless($missing.clone(), stringify!($name), run);
        $crate::tests_unless!(@add tests, $missing; $($($rest)*)?)
    }};
    (@add $tests:expr, $missing:ident;) => { $tests.run() };
}

/// The reason to ignore a test that needs this program, or `None` if the program is installed.
#[must_use]
pub fn needs_program(program: &str) -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    (!is_there).then(|| format!("needs {program}"))
}

/// The reason to ignore a test that needs this server, or `None` if it starts on this machine.
#[must_use]
pub fn needs_start(server: Server) -> Option<String> {
    match server.start() {
        Ok(handle) => {
            drop(handle.abort());
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Runs an async test on a tokio runtime of its own.
///
/// # Panics
///
/// The runtime cannot be created, or the test panics.
pub fn block_on(test: impl Future<Output = ()>) {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_program_ignores_a_test_with_the_reason() {
        let program = "no-such-program-anywhere";
        let tests = Tests::default()
            .always("always", || {})
            .unless(needs_program("sh"), "with a shell", || {})
            .unless(needs_program(program), "without it", || {});
        let all: Vec<_> = tests
            .0
            .iter()
            .map(|trial| (trial.name(), trial.kind(), trial.has_ignored_flag()))
            .collect();
        assert_eq!(
            all,
            [
                ("always", "", false),
                ("with a shell", "", false),
                ("without it", "needs no-such-program-anywhere", true),
            ]
        );
    }
}
