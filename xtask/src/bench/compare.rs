//! `bench compare A B`: two runs side by side, and which of their differences are more than noise.

mod agreement;
mod change;
mod pairs;
mod render;

use super::results::{ENVIRONMENT, Environment, RESULTS, Results, read_environment};
use crate::output;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Exit code 0, whatever differs; 1 if a run can't be read.")]
pub(crate) struct CompareOptions {
    /// The folder of a run, such as target/bench/NAME, or its results.json
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The one to set beside it
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Show only the rows that differ by more than noise.
    #[arg(long)]
    changed: bool,
}

/// A run, as it's compared.
#[derive(Debug)]
struct Run {
    results: Results,
    /// Nothing if it wasn't kept.
    environment: Option<Environment>,
}

/// # Errors
///
/// When one of them can't be read.
pub(super) fn run(options: &CompareOptions) -> anyhow::Result<()> {
    let (a, b) = (Run::read(&options.a)?, Run::read(&options.b)?);
    output::print(render::draw(&a, &b, options.changed))
}

impl Run {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let folder = match path.file_name() {
            Some(name) if name == RESULTS => path.parent().unwrap_or(path),
            _ => path,
        };
        let has_environment = folder.join(ENVIRONMENT).exists();
        Ok(Self {
            results: Results::read(folder)?,
            environment: has_environment.then(|| read_environment(folder)).transpose()?,
        })
    }
}
