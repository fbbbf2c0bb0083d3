//! What is published is complete: each package has its licences and its README, and a registry
//! finds it.

use super::Ignored;
use crate::workspace::unpublished;
use cargo_metadata::{Metadata, Package};
use xshell::{Shell, cmd};

/// What each package holds, whatever it is for.
const FILES: [&str; 4] = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// Makes the packages as `cargo publish` does, and looks into them. It builds none of them: the
/// recipe of a release does, and that takes minutes.
pub(super) fn run(shell: &Shell, metadata: &Metadata) -> anyhow::Result<()> {
    let changes = cmd!(shell, "git status --porcelain").quiet().read()?;
    if !changes.is_empty() {
        return Err(Ignored::because(
            "there are uncommitted changes, and cargo packages what is committed",
        ));
    }
    let excluded = unpublished(metadata);
    cmd!(
        shell,
        "cargo package --quiet --workspace --no-verify {excluded...}"
    )
    .run()?;
    let mut lacks = Vec::new();
    let packages = metadata.workspace_packages().into_iter();
    for package in packages.filter(|package| package.publish.is_none()) {
        let name = package.name.as_str();
        let files = cmd!(shell, "cargo package --quiet --list --package {name}");
        let files = files.quiet().read()?;
        lacks.extend(lacking(package, &files).map(|what| format!("{name} lacks {what}")));
    }
    anyhow::ensure!(lacks.is_empty(), "{}", lacks.join(", "));
    Ok(())
}

/// What a package lacks. `files` has a line for each of its files.
fn lacking<'a>(package: &'a Package, files: &'a str) -> impl Iterator<Item = &'a str> {
    let facts = [
        ("a description", package.description.is_some()),
        ("keywords", !package.keywords.is_empty()),
        ("categories", !package.categories.is_empty()),
        ("a license", package.license.is_some()),
        ("a repository", package.repository.is_some()),
        ("a rust-version", package.rust_version.is_some()),
    ];
    let facts = facts.into_iter().filter(|(_, is_there)| !is_there);
    let missing = FILES
        .into_iter()
        .filter(|file| !files.lines().any(|line| line == *file));
    facts.map(|(what, _)| what).chain(missing)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::lacking;
    use cargo_metadata::Package;
    use serde_json::json;

    #[test]
    fn a_bare_package_lacks_all_but_its_files() {
        let package: Package = serde_json::from_value(json!({
            "name": "a", "version": "0.1.0", "id": "a", "manifest_path": "/x/Cargo.toml",
            "dependencies": [], "targets": [], "features": {}, "edition": "2024",
            "license": "MIT", "keywords": ["http"],
        }))
        .unwrap();
        let files = "Cargo.toml\nLICENSE-MIT\nREADME.md\ndocs/LICENSE-APACHE\n";
        let lacks: Vec<_> = lacking(&package, files).collect();
        let expected = [
            "a description",
            "categories",
            "a repository",
            "a rust-version",
            "LICENSE-APACHE",
        ];
        assert_eq!(lacks, expected);
    }
}
