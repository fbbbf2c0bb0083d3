//! The packages of the workspace: their folders and their dependencies.

use cargo_metadata::{DependencyKind, Metadata};
use std::collections::BTreeMap;

/// A package of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Its folder, relative to the workspace's root. Empty for the facade, which is the root
    /// package.
    pub(crate) dir: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

/// A line under one of a manifest's `dependencies` sections.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The package's name.
    pub(crate) name: String,
    /// The name in the manifest. It differs from the package's name where `package = ".."` is used.
    pub(crate) key: String,
    pub(crate) kind: DependencyKind,
    pub(crate) optional: bool,
}

/// The role of a package, which follows from its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Facade,
    Core,
    Testkit,
    Transport,
    Adapter,
    Examples,
    /// Benches and chores: no user depends on them.
    Tool,
}

impl Member {
    pub(crate) fn role(&self) -> Role {
        match self.dir.split_once('/').unwrap_or((&self.dir, "")) {
            ("", _) => Role::Facade,
            ("core", "") => Role::Core,
            ("core", "testkit") => Role::Testkit,
            ("transports", _) => Role::Transport,
            ("adapters", _) => Role::Adapter,
            ("examples", _) => Role::Examples,
            _ => Role::Tool,
        }
    }

    /// The path of `file`, which is relative to the package, from the workspace's root.
    pub(crate) fn path(&self, file: &str) -> String {
        if self.dir.is_empty() {
            file.to_owned()
        } else {
            format!("{}/{file}", self.dir)
        }
    }
}

/// The workspace's packages, in the order of their folders.
pub(crate) fn members(metadata: &Metadata) -> Vec<Member> {
    let mut members: Vec<Member> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let dir = package
                .manifest_path
                .parent()
                .unwrap_or(&package.manifest_path);
            Member {
                name: package.name.to_string(),
                dir: dir
                    .strip_prefix(&metadata.workspace_root)
                    .unwrap_or(dir)
                    .as_str()
                    .replace('\\', "/"),
                dependencies: package.dependencies.iter().map(Dependency::from).collect(),
                features: package.features.clone(),
            }
        })
        .collect();
    members.sort_by(|a, b| a.dir.cmp(&b.dir));
    members
}

/// The arguments that keep a command of cargo to the packages that are published.
pub(crate) fn unpublished(metadata: &Metadata) -> Vec<String> {
    let packages = metadata.workspace_packages().into_iter();
    packages
        .filter(|package| package.publish.is_some())
        .flat_map(|package| ["--exclude".to_owned(), package.name.to_string()])
        .collect()
}

impl From<&cargo_metadata::Dependency> for Dependency {
    fn from(dependency: &cargo_metadata::Dependency) -> Self {
        Self {
            name: dependency.name.clone(),
            key: dependency
                .rename
                .as_ref()
                .unwrap_or(&dependency.name)
                .clone(),
            kind: dependency.kind,
            optional: dependency.optional,
        }
    }
}

/// The versions of a package in a lock file, and the lines that name it.
pub(crate) fn locked_versions<'a>(
    lock: &'a str,
    name: &str,
) -> impl Iterator<Item = (&'a str, usize)> {
    let header = format!("name = \"{name}\"");
    let lines = lock.lines().zip(lock.lines().skip(1));
    lines.enumerate().filter_map(move |(index, (line, next))| {
        let version = next.strip_prefix("version = \"")?.strip_suffix('"')?;
        (line == header).then_some((version, index + 1))
    })
}

#[cfg(test)]
impl Member {
    /// A package with these dependencies. A prefix `dev:`, `build:` or `optional:` sets the kind;
    /// without a prefix, the dependency is a normal one.
    pub(crate) fn fixture(dir: &str, name: &str, dependencies: &[&str]) -> Self {
        let dependency = |text: &&str| {
            let (kind, name) = text.split_once(':').unwrap_or(("", text));
            Dependency {
                name: name.to_owned(),
                key: name.to_owned(),
                kind: match kind {
                    "dev" => DependencyKind::Development,
                    "build" => DependencyKind::Build,
                    _ => DependencyKind::Normal,
                },
                optional: kind == "optional",
            }
        };
        Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
            dependencies: dependencies.iter().map(dependency).collect(),
            features: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Member, Role};

    #[test]
    fn the_folder_tells_the_role() {
        let role = |dir| Member::fixture(dir, "x", &[]).role();
        assert_eq!(role(""), Role::Facade);
        assert_eq!(role("core"), Role::Core);
        assert_eq!(role("core/testkit"), Role::Testkit);
        assert_eq!(role("transports/tcp"), Role::Transport);
        assert_eq!(role("adapters/axum"), Role::Adapter);
        assert_eq!(role("examples"), Role::Examples);
        assert_eq!(role("examples/hello"), Role::Examples);
        assert_eq!(role("benches/load"), Role::Tool);
    }
}
