//! The bench compares servers, not build settings: the workspace of the peers has the same profile
//! and the same versions.

use crate::tidy::repo::{Repo, Violation};
use crate::workspace::locked_versions;

const OURS: &str = "";
const PEERS: &str = "benches/peers/";

/// Crates that a request passes through, in anyport's servers and in the peers.
const SHARED: &[&str] = &[
    "bytes",
    "http",
    "http-body-util",
    "httparse",
    "hyper",
    "hyper-util",
    "libmimalloc-sys",
    "mimalloc",
    "mio",
    "tokio",
];

/// Both workspaces have the same profile `measure`.
pub(super) fn are_built_alike(repo: &Repo) -> Vec<Violation> {
    let profile = |workspace: &str| {
        let manifest = repo.text(&format!("{workspace}Cargo.toml"))?;
        Some(section(manifest, "[profile.measure]"))
    };
    match (profile(OURS), profile(PEERS)) {
        (Some(ours), Some(peers)) if ours != peers => vec![Violation::new(
            format!("{PEERS}Cargo.toml"),
            1,
            "its [profile.measure] differs from that of the main workspace; make them the same",
        )],
        _ => Vec::new(),
    }
}

/// The crates of [`SHARED`] have the same versions in both lock files.
pub(super) fn share_versions(repo: &Repo) -> Vec<Violation> {
    let lock = |workspace: &str| repo.text(&format!("{workspace}Cargo.lock"));
    let (Some(ours), Some(peers)) = (lock(OURS), lock(PEERS)) else {
        return Vec::new();
    };
    let mut violations = Vec::new();
    for name in SHARED {
        // Both may have older versions, too: actix-web needs an older `http`, and monoio an older
        // `mio`. The newest is last.
        let theirs: Vec<_> = locked_versions(peers, name).collect();
        if let Some((version, _)) = locked_versions(ours, name).last()
            && let Some((_, line)) = theirs.last()
            && theirs.iter().all(|(other, _)| *other != version)
        {
            let message = format!(
                "`{name}` differs from {version} in the main workspace; `cargo update {name} --precise {version}` in {PEERS}"
            );
            violations.push(Violation::new(format!("{PEERS}Cargo.lock"), *line, message));
        }
    }
    violations
}

/// The lines of a section of a manifest, without comments and blank lines.
fn section<'a>(manifest: &'a str, header: &str) -> Vec<&'a str> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{are_built_alike, share_versions};
    use crate::tidy::repo::Repo;

    fn lock(packages: &[(&str, &str)]) -> String {
        let package = |(name, version): &(&str, &str)| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
        };
        packages.iter().map(package).collect()
    }

    fn locks(ours: &[(&str, &str)], peers: &[(&str, &str)]) -> Vec<String> {
        let (ours, peers) = (lock(ours), lock(peers));
        let files = [
            ("Cargo.lock", ours.as_str()),
            ("benches/peers/Cargo.lock", peers.as_str()),
        ];
        Repo::fixture(Vec::new(), &files).flagged(share_versions)
    }

    #[test]
    fn another_version_of_what_is_shared_is_flagged() {
        let ours = [
            ("hyper", "1.12.0"),
            ("http", "1.5.0"),
            ("clap", "4.6.0"),
            ("bytes", "1.0.0"),
        ];
        let same = [
            ("http", "0.2.12"),
            ("http", "1.5.0"),
            ("hyper", "1.12.0"),
            ("clap", "4.7.0"),
        ];
        assert_eq!(locks(&ours, &same), [""; 0]);
        let two = [("http", "0.2.12"), ("http", "1.5.0")];
        assert_eq!(locks(&two, &[("http", "1.5.0")]), [""; 0]);
        let older = [("hyper", "1.11.0"), ("http", "0.2.12"), ("http", "1.4.0")];
        let places = ["benches/peers/Cargo.lock:2", "benches/peers/Cargo.lock:8"];
        assert_eq!(locks(&ours, &older), places);
    }

    #[test]
    fn another_profile_is_flagged() {
        let profile = "[profile.measure]\n# Why.\nlto = \"fat\"\ncodegen-units = 1\n";
        let flagged = |peers: &str| {
            let files = [("Cargo.toml", profile), ("benches/peers/Cargo.toml", peers)];
            Repo::fixture(Vec::new(), &files).flagged(are_built_alike)
        };
        assert_eq!(
            flagged(&format!(
                "[workspace]\n{}\n[x]\n",
                profile.replace("# Why.\n", "")
            )),
            [""; 0]
        );
        assert_eq!(
            flagged(&profile.replace("fat", "thin")),
            ["benches/peers/Cargo.toml:1"]
        );
        assert_eq!(flagged("[workspace]\n"), ["benches/peers/Cargo.toml:1"]);
    }
}
