//! Each feature is described where a user looks for it: in Cargo.toml, in the README and on the
//! crate's page.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use std::collections::BTreeMap;

const MANIFEST: &str = include_str!("../Cargo.toml");

/// A feature of Cargo.toml.
struct Feature {
    name: &'static str,
    turns_on: Vec<&'static str>,
    is_described: bool,
}

/// The features in their order. Each is one line: `name = ["..", ..]`.
fn features() -> Vec<Feature> {
    let (_, section) = MANIFEST.split_once("\n[features]\n").unwrap();
    let (section, _) = section.split_once("\n[").unwrap();
    let mut features = Vec::new();
    let mut is_described = false;
    for line in section.lines().filter(|line| !line.is_empty()) {
        if let Some((name, list)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            features.push(Feature {
                name,
                turns_on: list.split('"').skip(1).step_by(2).collect(),
                is_described,
            });
        }
        is_described = line.starts_with("# ");
    }
    features
}

/// The rows of the table of features in a text, by the name in their first column.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let (_, table) = text.split_once("\n| feature |").unwrap();
    let lines = table.lines().skip(2);
    let lines = lines.take_while(|line| line.starts_with('|'));
    lines
        .map(|line| line.split('|').skip(1).map(str::trim).collect())
        .collect()
}

#[test]
fn each_feature_has_a_comment_in_the_manifest() {
    for feature in features() {
        assert!(
            feature.is_described || feature.name == "default",
            "Cargo.toml: write a comment above the feature `{}`",
            feature.name
        );
    }
}

#[test]
fn each_feature_has_a_row_in_the_readme_and_on_the_page_of_the_crate() {
    let page: String = include_str!("../src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    let names: Vec<_> = features()
        .iter()
        .filter(|feature| feature.name != "default")
        .map(|feature| format!("`{}`", feature.name))
        .collect();
    for (place, text) in [
        ("README.md", include_str!("../README.md")),
        ("src/lib.rs", &page),
    ] {
        let listed: Vec<_> = rows(text)
            .into_iter()
            .map(|row| row[0].to_owned())
            .collect();
        assert_eq!(listed, names, "the table of features in {place}");
    }
}

#[test]
fn readme_says_which_features_are_on_by_default() {
    let features = features();
    let default = features.iter().find(|feature| feature.name == "default");
    let default = &default.unwrap().turns_on;
    for row in rows(include_str!("../README.md")) {
        let name = row[0].trim_matches('`');
        assert_eq!(row[1] == "yes", default.contains(&name), "{name}");
    }
}

#[test]
fn full_is_everything() {
    let features = features();
    let full = features.iter().find(|feature| feature.name == "full");
    let others: Vec<_> = features
        .iter()
        .map(|feature| feature.name)
        .filter(|name| !["default", "full"].contains(name))
        .collect();
    assert_eq!(full.unwrap().turns_on, others);
}

#[test]
fn each_transport_has_signals() {
    let features = features();
    let turns_on: BTreeMap<_, _> = features
        .iter()
        .map(|feature| (feature.name, &feature.turns_on))
        .collect();
    for transport in ["tcp", "unix", "memory", "monoio", "glommio"] {
        let direct = turns_on[transport];
        assert!(
            direct.contains(&"shutdown")
                || direct.contains(&"tokio") && turns_on["tokio"].contains(&"shutdown"),
            "`{transport}` lacks `shutdown`: {direct:?}"
        );
    }
}
