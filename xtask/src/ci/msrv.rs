//! What is published builds with the oldest Rust that it promises: `rust-version` in Cargo.toml.
//! Clippy's `incompatible_msrv` looks at our own code, this step at the dependencies.

use super::Ignored;
use crate::workspace::unpublished;
use anyhow::Context as _;
use cargo_metadata::{
    CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId, semver::Version,
};
use std::collections::BTreeSet;
use xshell::{Shell, cmd};

/// Compares the `rust-version` of each dependency with ours, then builds with that Rust, if it is
/// installed.
pub(super) fn run(shell: &Shell, metadata: &Metadata) -> anyhow::Result<()> {
    let mut command = MetadataCommand::new();
    command.manifest_path(metadata.workspace_root.join("Cargo.toml"));
    let all = command.features(CargoOpt::AllFeatures).exec()?;
    let ours = metadata
        .root_package()
        .and_then(|root| root.rust_version.as_ref());
    let ours = ours.context("Cargo.toml has no `rust-version`")?;
    let newer = newer(ours, dependencies(&all));
    anyhow::ensure!(
        newer.is_empty(),
        "`rust-version` is {ours}, but {}; depend on older versions of these, or raise it",
        newer.join(", ")
    );

    let toolchain = format!("{}.{}", ours.major, ours.minor);
    let installed = cmd!(shell, "rustup toolchain list").quiet().ignore_stderr();
    if !is_installed(&installed.read().unwrap_or_default(), &toolchain) {
        return Err(Ignored::because(format!(
            "no dependency asks for a Rust newer than {ours}, but nothing was built with it: \
             `rustup toolchain install {toolchain}`"
        )));
    }
    let excluded = unpublished(metadata);
    let target_dir = metadata.target_directory.join("msrv");
    Ok(cmd!(
        shell,
        "rustup run {toolchain} cargo check --workspace --all-features --target-dir {target_dir} {excluded...}"
    )
    .run()?)
}

/// What a user builds: the published packages, and all that they depend on but for tests.
fn dependencies(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: Vec<_> = nodes.collect();
    let mut open: Vec<&PackageId> = metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.publish.is_none())
        .map(|package| &package.id)
        .collect();
    let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            let node = nodes.iter().find(|node| node.id == *id);
            let used = node.into_iter().flat_map(|node| &node.deps).filter(|dep| {
                let mut kinds = dep.dep_kinds.iter();
                kinds.any(|kind| kind.kind != DependencyKind::Development)
            });
            open.extend(used.map(|dep| &dep.pkg));
        }
    }
    let packages = metadata.packages.iter();
    packages.filter(move |package| seen.contains(&package.id))
}

/// The packages that need a newer Rust than ours, each with the Rust that it needs.
fn newer<'a>(ours: &Version, packages: impl Iterator<Item = &'a Package>) -> Vec<String> {
    let needs = packages.filter_map(|package| {
        let rust = package.rust_version.as_ref()?;
        (rust > ours).then(|| format!("{} {} needs {rust}", package.name, package.version))
    });
    needs.collect()
}

/// Whether `rustup toolchain list` has this version, as `1.88` or as `1.88.0`.
fn is_installed(list: &str, version: &str) -> bool {
    list.lines()
        .filter_map(|line| line.strip_prefix(version))
        .any(|rest| rest.starts_with(['-', '.']))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::{dependencies, is_installed, newer};
    use cargo_metadata::{Metadata, semver::Version};
    use serde_json::{Value, json};

    fn package(id: &str, rust: &str, publish: &Value) -> Value {
        json!({
            "name": id, "version": "0.1.0", "id": id, "manifest_path": "/x/Cargo.toml",
            "dependencies": [], "targets": [], "features": {}, "rust_version": rust,
            "publish": publish, "edition": "2024",
        })
    }

    fn node(id: &str, deps: &[(&str, &str)]) -> Value {
        let deps: Vec<_> = deps
            .iter()
            .map(|(name, kind)| {
                let kind = (*kind != "normal").then_some(kind);
                json!({ "name": name, "pkg": name, "dep_kinds": [{ "kind": kind, "target": null }] })
            })
            .collect();
        json!({ "id": id, "deps": deps, "dependencies": [], "features": [] })
    }

    /// `anyport` uses `a`, which uses `b` and is built by `c`; both workspace packages test with
    /// `t`, and `xtask` uses `x`.
    fn metadata() -> Metadata {
        let members = ["anyport", "xtask"];
        let packages: Vec<_> = ["anyport", "a", "b", "c", "t", "x"]
            .iter()
            .map(|id| {
                package(
                    id,
                    if *id == "anyport" { "1.88" } else { "1.90.1" },
                    &Value::Null,
                )
            })
            .chain([package("xtask", "1.88", &json!([]))])
            .collect();
        serde_json::from_value(json!({
            "packages": packages, "workspace_members": members,
            "workspace_default_members": members, "workspace_root": "/x",
            "target_directory": "/x/target", "version": 1, "metadata": null,
            "resolve": { "root": null, "nodes": [
                node("anyport", &[("a", "normal"), ("t", "dev")]),
                node("a", &[("b", "normal"), ("c", "build")]),
                node("b", &[]), node("c", &[]), node("t", &[]), node("x", &[]),
                node("xtask", &[("x", "normal"), ("t", "dev")]),
            ] },
        }))
        .unwrap()
    }

    #[test]
    fn what_a_user_builds_is_looked_at_and_no_test() {
        let metadata = metadata();
        let newer = newer(&Version::new(1, 88, 0), dependencies(&metadata));
        let expected = ["a", "b", "c"].map(|name| format!("{name} 0.1.0 needs 1.90.1"));
        assert_eq!(newer, expected);
    }

    #[test]
    fn an_equal_rust_is_old_enough() {
        let metadata = metadata();
        assert_eq!(newer_count(&metadata, "1.90.1"), 0);
        assert_eq!(newer_count(&metadata, "1.90.0"), 3);
    }

    fn newer_count(metadata: &Metadata, ours: &str) -> usize {
        newer(&ours.parse().unwrap(), dependencies(metadata)).len()
    }

    #[test]
    fn a_toolchain_is_found_by_its_version() {
        let list = "stable-x86_64 (active)\n1.88.0-x86_64\n1.9-x86_64\n";
        assert!(is_installed(list, "1.88") && is_installed(list, "1.9"));
        assert!(!is_installed(list, "1.8") && !is_installed(list, "1.95"));
    }
}
