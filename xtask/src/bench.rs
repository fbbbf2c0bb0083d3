//! `cargo xtask bench`: what a request and a connection cost, of anyport, of its peers and of
//! anybody's server.
//!
//! A target goes through stages, each in a module of its own: `options` parses, `build` builds,
//! `server` starts, `contract` checks, `timed`, `counted` and `idle` measure, `reduce` makes a
//! [`row::Row`] of it, `present` shows it. `measure` leads through them within a given time. Counts
//! are exact; times are ratios to a reference in the same round. docs/bench.md says how to read
//! them.

mod affinity;
mod baseline;
mod build;
mod check;
mod contender;
mod context;
mod contract;
mod counted;
mod environment;
mod idle;
mod load;
mod measure;
mod noise;
mod options;
mod present;
mod processes;
mod progress;
mod reduce;
mod rounds;
mod row;
mod server;
mod statistics;
mod target;
mod timed;
mod tool;
mod workload;

use crate::output;
use cargo_metadata::Metadata;
use options::Options;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures servers.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "It builds what it measures. Exit code 0: all that can be measured was; 1: some was not, and why stands \
        below its table; 130: it was interrupted, and what was measured by then was printed."
)]
pub(crate) struct Bench {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Build what `--check` measures, and measure nothing: a machine that is busy can do that
    /// beforehand
    Build,
    /// Draw the tables and the page of a run anew: summary.md and report.html
    Report {
        /// The folder of the run
        folder: PathBuf,
    },
    /// Write the tables of README.md and docs/choosing.md anew
    Document(present::DocumentOptions),
}

/// Measures and prints; the code to exit with.
///
/// # Errors
///
/// When nothing could be tried.
pub(crate) fn run(bench: &Bench, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    match &bench.command {
        Some(Command::Build) => return check::build(&Options::checked().job(), metadata),
        Some(Command::Report { folder }) => present::write(&row::Run::read(folder)?, folder)?,
        Some(Command::Document(options)) => {
            present::update_documents(options, metadata.workspace_root.as_std_path())?;
        }
        None if bench.options.list => output::print(present::list())?,
        None if bench.options.check => return check::run(&bench.options, metadata),
        None => return measure::run(&bench.options, metadata),
    }
    Ok(ExitCode::SUCCESS)
}
