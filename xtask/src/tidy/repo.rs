//! What an invariant looks at: the packages and the files, read once.

use crate::workspace::{self, Dependency, Member};
use anyhow::Context as _;
use cargo_metadata::{DependencyKind, Metadata};
use std::collections::BTreeMap;
use std::{fmt, fs, io};
use xshell::{Shell, cmd};

/// The workspace as it would be committed. All paths are relative to its root, with `/` between their parts.
#[derive(Debug)]
pub(super) struct Repo {
    pub(super) members: Vec<Member>,
    /// The text of each file, or nothing where it is not text.
    files: BTreeMap<String, Option<String>>,
}

/// A broken invariant: where, and what is wrong and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Repo {
    /// Reads what git tracks, and what it would with `git add --all`: a new file is judged before it is committed.
    pub(super) fn read(shell: &Shell, metadata: &Metadata) -> anyhow::Result<Self> {
        let listing = cmd!(shell, "git ls-files -z --cached --others --exclude-standard")
            .quiet()
            .read()
            .context("cannot list the files; tidy needs a git checkout")?;
        let mut files = BTreeMap::new();
        for path in listing.split('\0').filter(|path| !path.is_empty()) {
            let text = match fs::read(metadata.workspace_root.join(path)) {
                Ok(bytes) => String::from_utf8(bytes).ok(),
                // Deleted, and not committed yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                // A link to a folder.
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => None,
                Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
            };
            files.insert(path.to_owned(), text);
        }
        Ok(Self {
            members: workspace::members(metadata),
            files,
        })
    }

    pub(super) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Every text file, as its path and its text.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// Every Rust file, as its path and its text.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".rs"))
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    pub(super) fn has_file(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The paths below `dir`, relative to it.
    pub(super) fn files_in(&self, dir: &str) -> impl Iterator<Item = &str> {
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        self.files
            .keys()
            .filter_map(move |path| path.strip_prefix(&prefix))
    }

    /// A violation at the line where `member`'s manifest names `dependency`.
    pub(super) fn at_dependency(
        &self,
        member: &Member,
        dependency: &Dependency,
        message: String,
    ) -> Violation {
        let path = member.path("Cargo.toml");
        let line = self
            .text(&path)
            .and_then(|manifest| dependency_line(manifest, dependency))
            .unwrap_or(1);
        Violation { path, line, message }
    }
}

impl Violation {
    /// `message` reads "what is wrong; what to do".
    pub(super) fn new(path: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Where a manifest names a dependency: `key = ..` in its section, or a `[dependencies.key]` of its own.
fn dependency_line(manifest: &str, dependency: &Dependency) -> Option<usize> {
    let section = match dependency.kind {
        DependencyKind::Development => "dev-dependencies",
        DependencyKind::Build => "build-dependencies",
        _ => "dependencies",
    };
    let own_section = format!("{section}.{}", dependency.key);
    let is = |header: &str, name: &str| header == name || header.ends_with(&format!(".{name}"));
    let mut inside = false;
    for (number, line) in (1..).zip(manifest.lines()) {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            if is(header, &own_section) {
                return Some(number);
            }
            inside = is(header, section);
        } else if inside && line.split(['=', '.', ' ']).next() == Some(&dependency.key) {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
impl Repo {
    pub(super) fn fixture(members: Vec<Member>, files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|&(path, text)| (path.to_owned(), Some(text.to_owned())));
        Self {
            members,
            files: files.collect(),
        }
    }

    /// `path:line` of each violation of `invariant`.
    pub(super) fn flagged(&self, invariant: fn(&Self) -> Vec<Violation>) -> Vec<String> {
        invariant(self)
            .iter()
            .map(|violation| format!("{}:{}", violation.path, violation.line))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Dependency, Violation, dependency_line};
    use cargo_metadata::DependencyKind;

    const MANIFEST: &str = "\
[package]
name = \"tokio\"
[dependencies]
tokio-util = \"1\"
tokio = { version = \"1\" }
[dev-dependencies]
tokio.workspace = true
[target.'cfg(unix)'.dependencies.rustix]
version = \"1\"
[target.'cfg(unix)'.build-dependencies]
cc = \"1\"
";

    #[test]
    fn a_dependency_is_found_in_its_section() {
        let line = |name: &str, kind| {
            let dependency = Dependency {
                name: name.to_owned(),
                key: name.to_owned(),
                kind,
                optional: false,
            };
            dependency_line(MANIFEST, &dependency)
        };
        assert_eq!(line("tokio", DependencyKind::Normal), Some(5));
        assert_eq!(line("tokio", DependencyKind::Development), Some(7));
        assert_eq!(line("rustix", DependencyKind::Normal), Some(8));
        assert_eq!(line("cc", DependencyKind::Build), Some(11));
        assert_eq!(line("cc", DependencyKind::Normal), None);
    }

    #[test]
    fn a_violation_is_one_line_an_editor_can_open() {
        let violation = Violation::new("src/lib.rs", 7, "it is wrong; put it right");
        assert_eq!(violation.to_string(), "src/lib.rs:7: it is wrong; put it right");
    }
}
