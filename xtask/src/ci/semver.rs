//! A release breaks no program that the version number says it will not break.

use super::Ignored;
use crate::workspace::unpublished;
use cargo_metadata::Metadata;
use xshell::{Shell, cmd};

/// Compares the public items with those of the last release, by cargo-semver-checks.
pub(super) fn run(shell: &Shell, metadata: &Metadata) -> anyhow::Result<()> {
    let tag = cmd!(shell, "git describe --tags --abbrev=0 --match v[0-9]*").quiet();
    let Ok(tag) = tag.ignore_stderr().read() else {
        return Err(Ignored::because(
            "this clone has no tag of a release to compare with",
        ));
    };
    let version = cmd!(shell, "cargo semver-checks --version").quiet();
    if version.ignore_stdout().ignore_stderr().run().is_err() {
        return Err(Ignored::because(
            "cargo-semver-checks is not installed: `cargo install cargo-semver-checks --locked`",
        ));
    }
    let excluded = unpublished(metadata);
    Ok(cmd!(
        shell,
        "cargo semver-checks --workspace --baseline-rev {tag} {excluded...}"
    )
    .run()?)
}
