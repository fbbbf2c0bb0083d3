//! The checks that a change has to pass. CI runs nothing that a contributor cannot run.

mod book;
mod columns;
mod deny;
mod features;
mod links;
mod msrv;
mod package;
mod peers;
mod report;
mod semver;

use crate::output::print;
use crate::{tidy, workspace};
use cargo_metadata::Metadata;
use clap::ValueEnum as _;
use report::{Outcome, Verdict};
use std::borrow::Cow;
use std::fmt;
use std::time::Instant;
use xshell::{Shell, cmd};

/// One check, in the order in which they run: the fast ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Step {
    /// The code is formatted.
    Fmt,
    /// Clippy and the compiler have no warning, with all features on.
    Clippy,
    /// The documentation builds as on docs.rs, without a warning; links lead to files, the book has
    /// every page, and prose is wrapped.
    Docs,
    /// The guide builds as a book. Ignored without mdBook.
    Book,
    /// The invariants of the workspace hold.
    Tidy,
    /// Each package that is published is complete. Ignored with uncommitted changes.
    Package,
    /// The licences, sources and known faults of the dependencies: deny.toml. Ignored without
    /// cargo-deny.
    Deny,
    /// No public item broke since the last release. Ignored before the first one, and without
    /// cargo-semver-checks.
    Semver,
    /// No dependency needs a newer Rust than `rust-version`. If that Rust is installed, it builds
    /// all that is published.
    Msrv,
    /// Each library compiles without features, and with each of its features alone.
    Features,
    /// The peers of the bench, a workspace of their own, are formatted and have no warning.
    Peers,
    /// No counted figure of the bench became worse.
    #[cfg(target_os = "linux")]
    Bench,
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(|| format!("{self:?}"), |value| value.get_name().to_owned())
    }

    fn run(self, shell: &Shell, metadata: &Metadata) -> anyhow::Result<()> {
        match self {
            Self::Fmt => cmd!(shell, "cargo fmt --all --check").run()?,
            Self::Clippy => {
                cmd!(
                    shell,
                    "cargo clippy --workspace --all-targets --all-features -- -D warnings"
                )
                .run()?;
                // `--all-targets` leaves out what `cargo test` leaves out.
                cmd!(
                    shell,
                    "cargo clippy --workspace --all-features --test peers --test programs -- -D warnings"
                )
                .run()?;
            }
            Self::Docs => {
                // As docs.rs builds it. A rustdoc with nightly features is a script of Unix.
                let mut doc = cmd!(shell, "cargo doc --workspace --no-deps --all-features");
                doc = match cfg!(unix) {
                    true => doc
                        .env("RUSTDOC", concat!(env!("CARGO_MANIFEST_DIR"), "/rustdoc"))
                        .env("RUSTDOCFLAGS", "--cfg docsrs -D warnings"),
                    false => doc.env("RUSTDOCFLAGS", "-D warnings"),
                };
                doc.run()?;
                let rules = [
                    links::resolve,
                    links::of_items_are_no_paths,
                    book::has_each_page_once,
                    columns::are_kept,
                ];
                tidy::hold(&rules, shell, metadata)?;
            }
            Self::Book => book::build(shell)?,
            Self::Package => package::run(shell, metadata)?,
            Self::Deny => deny::run(shell)?,
            Self::Semver => semver::run(shell, metadata)?,
            Self::Msrv => msrv::run(shell, metadata)?,
            Self::Tidy => tidy::hold(tidy::INVARIANTS, shell, metadata)?,
            Self::Features => features::run(shell, &workspace::members(metadata))?,
            #[cfg(target_os = "linux")]
            Self::Bench => {
                let xtask = std::env::current_exe()?;
                cmd!(shell, "{xtask} bench --check").run()?;
            }
            Self::Peers => {
                tidy::hold(
                    &[peers::are_built_alike, peers::share_versions],
                    shell,
                    metadata,
                )?;
                let target_dir = metadata.target_directory.join("peers");
                let _folder = shell.push_dir("benches/peers");
                cmd!(shell, "cargo fmt --all --check").run()?;
                cmd!(
                    shell,
                    "cargo clippy --locked --all-targets --target-dir {target_dir} -- -D warnings"
                )
                .run()?;
            }
        }
        Ok(())
    }
}

/// Why a step could not run to its end here. It is printed, and fails nothing.
#[derive(Debug)]
struct Ignored(Cow<'static, str>);

impl Ignored {
    fn because(reason: impl Into<Cow<'static, str>>) -> anyhow::Error {
        Self(reason.into()).into()
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ignored: {}", self.0)
    }
}

impl std::error::Error for Ignored {}

/// Runs the steps named by `only`, or all of them. A failed step does not stop the next one.
///
/// # Errors
///
/// When a step failed: the table printed before says which.
pub(crate) fn run(shell: &Shell, metadata: &Metadata, only: &[Step]) -> anyhow::Result<()> {
    let mut outcomes = Vec::new();
    for &step in Step::value_variants() {
        if !only.is_empty() && !only.contains(&step) {
            continue;
        }
        print(format!("\n== {}\n", step.name()))?;
        let start = Instant::now();
        let result = step.run(shell, metadata);
        let outcome = Outcome {
            step: step.name(),
            verdict: match &result {
                Ok(()) => Verdict::Passed,
                Err(error) if error.is::<Ignored>() => Verdict::Ignored,
                Err(_) => Verdict::Failed,
            },
            took: start.elapsed(),
        };
        let became = result.map_or_else(|error| format!("{error:#}"), |()| "ok".to_owned());
        print(format!(
            "== {}: {became}, {:.1} s\n",
            outcome.step,
            outcome.took.as_secs_f64()
        ))?;
        outcomes.push(outcome);
    }
    print(format!("\n{}", report::table(&outcomes)))?;

    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Failed)
        .count();
    anyhow::ensure!(failed == 0, "{failed} of {} steps failed", outcomes.len());
    Ok(())
}
