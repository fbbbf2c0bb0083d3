//! `report.html`: a run as one page that needs nothing else, for whoever has to choose a transport.

mod chart;
mod curve;
mod group;
mod labels;
mod page;
mod section;
mod summary;
mod table;

use super::results::{Environment, Results, read_environment};
use anyhow::Context as _;
use curve::Curves;
use std::fs;
use std::path::{Path, PathBuf};

/// The page's file in the folder of a run.
const REPORT: &str = "report.html";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReportOptions {
    /// The folder of a run, such as target/bench/NAME
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

/// Draws the page of a run anew, and says where it lies.
pub(super) fn run(options: &ReportOptions) -> anyhow::Result<()> {
    let path = write(&options.run)?;
    println!("{}", path.display());
    Ok(())
}

/// Draws the page of the run whose folder this is, into it; where the page lies.
///
/// # Errors
///
/// When the folder isn't a run's, or can't be written to.
pub(super) fn write(folder: &Path) -> anyhow::Result<PathBuf> {
    let results = Results::read(folder)?;
    let environment = read_environment(folder)?;
    let curves = curve::read(folder, &results)?;
    let path = folder.join(REPORT);
    fs::write(&path, render(&results, &environment, &curves))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The whole page.
fn render(results: &Results, environment: &Environment, curves: &Curves) -> String {
    page::draw(results, environment, curves).into_string()
}
