//! `bench cite OLD NEW`: what documents say of one run, they say of another one.

use crate::{output, tidy};
use anyhow::Context as _;
use cargo_metadata::Metadata;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CiteOptions {
    /// The folder of the run that they cite, such as benches/results/NAME
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The one to cite instead, beside it; OLD itself, if that was measured or drawn anew
    #[arg(value_name = "NEW")]
    new: PathBuf,
}

/// # Errors
///
/// When something that's cited isn't in the new run, or a document can't be written.
pub(super) fn run(options: &CiteOptions, metadata: &Metadata) -> anyhow::Result<()> {
    let (old, new) = (inside(metadata, &options.old)?, inside(metadata, &options.new)?);
    for document in tidy::cite(metadata, &old, &new)? {
        output::print(format!("{document}\n"))?;
    }
    output::note("what's said around the figures is yours to read again");
    Ok(())
}

/// The path from the repository's root.
fn inside(metadata: &Metadata, run: &Path) -> anyhow::Result<String> {
    let root = metadata.workspace_root.as_std_path().canonicalize()?;
    let run = run
        .canonicalize()
        .with_context(|| format!("cannot find {}", run.display()))?;
    let inside = run.strip_prefix(root).ok().and_then(Path::to_str);
    let inside = inside.with_context(|| {
        format!(
            "{} isn't in this repository; documents cite what lies in benches/results",
            run.display()
        )
    })?;
    Ok(inside.to_owned())
}
