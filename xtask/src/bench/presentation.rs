//! What a run's folder shows a reader: `report.html`, one page that needs nothing else, and `summary.md`, the same tables for a repository.

mod allocators;
mod chart;
mod curve;
mod group;
mod labels;
mod markdown;
mod page;
mod section;
mod summary;
mod table;

use super::results::{Results, read_environment};
use super::run_folder;
use crate::output;
use std::path::{Path, PathBuf};

/// The page's file in the folder of a run.
const REPORT: &str = "report.html";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReportOptions {
    /// The folder of a run, such as target/bench/NAME
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

/// Draws the page and the summary of a run anew, and says where they lie.
pub(super) fn run(options: &ReportOptions) -> anyhow::Result<()> {
    for path in write(&options.run)? {
        output::print(format!("{}\n", path.display()))?;
    }
    Ok(())
}

/// Draws the page and the summary of the run whose folder this is, into it; where they lie.
///
/// # Errors
///
/// When the folder isn't a run's, or can't be written to.
pub(super) fn write(folder: &Path) -> anyhow::Result<[PathBuf; 2]> {
    let results = read(folder)?;
    let environment = read_environment(folder)?;
    let curves = curve::read(folder, &results)?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        run_folder::write(&path, &text)?;
        anyhow::Ok(path)
    };
    Ok([
        write(REPORT, page::draw(&results, &environment, &curves).into_string())?,
        write(markdown::SUMMARY, markdown::draw(&results, &environment))?,
    ])
}

/// A run as it's shown.
fn read(folder: &Path) -> anyhow::Result<Results> {
    let mut results = Results::read(folder)?;
    allocators::unify(&mut results);
    Ok(results)
}
