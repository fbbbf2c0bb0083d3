//! Tests with requirements that not every machine meets. There they are ignored, with the reason.
//! Libtest cannot do that at run time, so such a test target has `harness = false`.
use anyport_core::Server;
use libtest_mimic::{Arguments, Failed, Trial};
use std::{env, future::Future, process::ExitCode};
use tokio::runtime::Builder;

/// How many tests run at once: they wait more than they compute.
const AT_ONCE: usize = 8;

/// The tests of a target.
#[derive(Default)]
#[must_use = "tests do nothing unless they're run"]
pub struct Tests(Vec<Trial>);

impl Tests {
    /// A test that runs everywhere.
    pub fn always(self, name: &str, body: impl FnOnce() + Send + 'static) -> Self {
        self.unless(None, name, body)
    }

    /// A test that's ignored for this reason, if there is one.
    pub fn unless(
        mut self,
        missing: Option<String>,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Self {
        let trial = match missing {
            // Also if somebody asks for ignored tests: a test that can't be run is never green.
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

    /// Runs what the command line asks for, as `cargo test` does, for the target's `main`.
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

/// The `main` of a target whose tests all need the same of the machine: where that's missing,
/// they're ignored, with the reason. A test is an async function of nothing; one that makes a
/// runtime of its own is `blocking`, and none.
///
/// ```
/// # mod scene { pub(crate) fn missing() -> Option<String> { None } }
/// async fn a_test() {}
/// fn another() {}
///
/// anyport_testkit::tests_unless!(scene::missing(); a_test, blocking another);
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

/// The reason to ignore a test that needs a program, if that's not there.
#[must_use]
pub fn needs_program(program: &str) -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    (!is_there).then(|| format!("needs {program}"))
}

/// The reason to ignore a test that needs such a server, if it can't be started on this machine.
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

/// Runs an asynchronous test on a tokio of its own.
///
/// # Panics
///
/// There's no runtime to be had, or the test panics.
pub fn block_on(test: impl Future<Output = ()>) {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_the_reason_to_be_ignored() {
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
