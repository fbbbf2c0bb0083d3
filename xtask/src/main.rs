//! The chores of the workspace, in Rust: a contributor runs each check of CI by the same command.
#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic where nothing can be written; `output` does not"
)]

#[cfg(target_os = "linux")]
mod bench;
mod ci;
mod output;
mod tidy;
mod workspace;

use anyhow::Context as _;
use cargo_metadata::MetadataCommand;
use clap::Parser;
use std::process::ExitCode;
use xshell::Shell;

/// The chores of the anyport workspace.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
enum Command {
    /// Run the checks of a change besides its tests, and show how long each one took.
    Ci {
        /// Run these steps only (separated by commas).
        #[arg(long, value_enum, value_delimiter = ',', value_name = "STEPS")]
        only: Vec<ci::Step>,
    },
    /// Check the invariants of the workspace that no compiler checks.
    Tidy,
    /// Measure what a request and a connection cost, beside anyport's peers.
    #[cfg(target_os = "linux")]
    Bench(Box<bench::Bench>),
}

fn main() -> ExitCode {
    match run(&Command::parse()) {
        Ok(code) => code,
        // The exit code of a program that a closed pipe ended.
        Err(error) if error.is::<output::Unread>() => ExitCode::from(141),
        Err(error) => {
            // A failed check is not an error of this program: one line, no backtrace.
            output::note(format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .context("`cargo metadata` cannot read the workspace; run this inside the repository")?;
    let shell = Shell::new()?;
    shell.change_dir(&metadata.workspace_root);
    match command {
        Command::Ci { only } => ci::run(&shell, &metadata, only)?,
        Command::Tidy => tidy::hold(tidy::INVARIANTS, &shell, &metadata)?,
        #[cfg(target_os = "linux")]
        Command::Bench(bench) => return bench::run(bench, &metadata),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::Command;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_flags_are_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn an_unknown_step_lists_the_valid_ones() {
        let error = Command::try_parse_from(["xtask", "ci", "--only", "clipy"])
            .unwrap_err()
            .to_string();
        for step in [
            "fmt", "clippy", "docs", "tidy", "features", "peers", "bench", "book", "package",
            "deny", "semver", "msrv",
        ] {
            assert!(error.contains(step), "{step} is not in: {error}");
        }
    }
}
