//! Checks that prose is no wider than code, so that both fit side by side.

use crate::tidy::repo::{Repo, Violation};

/// The same number as in rustfmt.toml. Stable rustfmt does not wrap comments.
const WIDTH: usize = 100;

/// No line of prose is longer than [`WIDTH`] in Markdown, and in comments of Rust and TOML. Tables,
/// links and code within prose may be.
pub(super) fn are_kept(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in repo.texts() {
        let marks: &[&str] = match path.rsplit_once('.') {
            // The bench writes these.
            _ if path.starts_with("benches/results/") => continue,
            Some((_, "rs")) => &["///", "//!", "//"],
            Some((_, "toml")) => &["#"],
            Some((_, "md")) => &[""],
            _ => continue,
        };
        let mut is_code = false;
        for (index, line) in text.lines().enumerate() {
            let comment = line.trim_start();
            let Some(prose) = marks.iter().find_map(|mark| comment.strip_prefix(mark)) else {
                is_code = false;
                continue;
            };
            is_code ^= prose.trim_start().starts_with("```");
            if !is_code && is_too_long(line, prose.trim()) {
                let advice = format!("longer than {WIDTH} columns; wrap it");
                violations.push(Violation::new(path, index + 1, advice));
            }
        }
    }
    violations
}

fn is_too_long(line: &str, prose: &str) -> bool {
    let is_prose = !["|", "#", "<", "["]
        .iter()
        .any(|start| prose.starts_with(start));
    // A single word, such as an address, cannot be wrapped.
    line.chars().count() > WIDTH && is_prose && prose.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::are_kept;
    use crate::tidy::repo::Repo;

    fn flagged(path: &str, text: &str) -> Vec<String> {
        Repo::fixture(Vec::new(), &[(path, text)]).flagged(are_kept)
    }

    #[test]
    fn long_prose_is_flagged() {
        let long = "word ".repeat(20) + "word";
        assert_eq!(flagged("a.md", &format!("# A\n\n{long}\n")), ["a.md:3"]);
        assert_eq!(
            flagged("a.rs", &format!("fn f() {{}}\n    // {long}\n")),
            ["a.rs:2"]
        );
        assert_eq!(flagged("a.toml", &format!("# {long}\n")), ["a.toml:1"]);
    }

    #[test]
    fn what_cannot_be_wrapped_may_be_long() {
        let (long, address) = ("word ".repeat(30), "https://example.com/".repeat(8));
        let prose = format!("| {long} |\n```text\n{long}\n```\n[a]: {address} \"A\"\n{address}\n");
        assert_eq!(flagged("a.md", &prose), [""; 0]);
        let comments: String = prose.lines().map(|line| format!("/// {line}\n")).collect();
        assert_eq!(
            flagged("a.rs", &format!("{comments}const A: &str = \"{long}\";\n")),
            [""; 0]
        );
        assert_eq!(flagged("benches/results/a.md", &long), [""; 0]);
    }
}
