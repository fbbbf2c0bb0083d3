//! `cargo xtask bench`: what a request and a connection cost, of anyport, of its peers and of the
//! user's servers. docs/bench.md explains the figures.
//!
//! Each stage of a run is a module: `options` parses, `build` builds, `server` starts, `contract`
//! checks, `timed`, `counted` and `idle` measure, `reduce` makes a [`row::Row`], `present` draws
//! it. `measure` and `rounds` call them.

mod baseline;
mod build;
mod check;
mod contender;
mod context;
mod contract;
mod counted;
mod environment;
mod idle;
mod measure;
mod noise;
mod options;
mod pinning;
mod present;
mod processes;
mod progress;
mod reduce;
mod results;
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
    after_help = "It builds the servers first. Exit code 0: everything was measured that can be; \
        1: something was not, and the reason is below its table; 130: the run was interrupted, and \
        its results so far were printed."
)]
pub(crate) struct Bench {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Build what `--check` measures, and measure nothing
    Build,
    /// Draw summary.md and report.html of a run anew
    Report {
        /// The folder of the run
        folder: PathBuf,
    },
    /// Write the tables in README.md and docs/choosing.md
    Document {
        /// The folder of the run
        folder: PathBuf,
    },
}

/// Measures and prints. Gives the exit code.
pub(crate) fn run(bench: &Bench, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    match &bench.command {
        Some(Command::Build) => return check::build(metadata),
        Some(Command::Report { folder }) => present::write(&row::Run::read(folder)?, folder)?,
        Some(Command::Document { folder }) => {
            let root = metadata.workspace_root.as_std_path();
            present::update_documents(&row::Run::read(folder)?, root)?;
        }
        None if bench.options.list => output::print(present::list())?,
        None if bench.options.check => return check::run(&bench.options, metadata),
        None => return measure::run(&bench.options, metadata),
    }
    Ok(ExitCode::SUCCESS)
}
