//! The guide in docs/ is a book: its summary has every page.

use super::Ignored;
use super::links::{line, links, target};
use crate::tidy::repo::{Repo, Violation};
use xshell::{Shell, cmd};

const SUMMARY: &str = "docs/SUMMARY.md";

/// The summary has each page of docs/ once. Where its links lead, [`resolve`](super::links) checks.
pub(super) fn has_each_page_once(repo: &Repo) -> Vec<Violation> {
    let Some(summary) = repo.text(SUMMARY) else {
        return Vec::new();
    };
    let mut listed = Vec::new();
    let mut violations = Vec::new();
    for (link, at) in links(summary) {
        let Some(page) = target(SUMMARY, &link) else {
            continue;
        };
        if listed.contains(&page) {
            let again = format!("`{link}` is listed twice; mdBook shows a page once");
            violations.push(Violation::new(SUMMARY, line(summary, at), again));
        }
        listed.push(page);
    }
    let pages = repo.texts().map(|(path, _)| path);
    let pages = pages.filter(|path| path.starts_with("docs/") && path.ends_with(".md"));
    violations.extend(
        pages
            .filter(|page| *page != SUMMARY && !listed.iter().any(|listed| listed == page))
            .map(|page| Violation::new(page, 1, format!("the page is not in {SUMMARY}; add it"))),
    );
    violations
}

/// Builds the book, where mdBook is installed.
pub(super) fn build(shell: &Shell) -> anyhow::Result<()> {
    let version = cmd!(shell, "mdbook --version").quiet();
    if version.ignore_stdout().ignore_stderr().run().is_err() {
        return Err(Ignored::because(
            "mdBook is not installed: `cargo install mdbook --no-default-features --locked`; the \
             step docs checks the links and the summary",
        ));
    }
    Ok(cmd!(shell, "mdbook build").run()?)
}

#[cfg(test)]
mod tests {
    use super::has_each_page_once;
    use crate::tidy::repo::Repo;

    #[test]
    fn a_page_that_is_missing_or_twice_in_the_summary_is_flagged() {
        let summary = "# Summary\n\n- [A](a.md)\n  - [B](part/b.md)\n- [A again](./a.md#part)\n";
        let files = [
            ("docs/SUMMARY.md", summary),
            ("docs/a.md", ""),
            ("docs/part/b.md", ""),
            ("docs/c.md", ""),
            ("docs/links.js", ""),
            ("core/README.md", ""),
        ];
        assert_eq!(
            Repo::fixture(Vec::new(), &files).flagged(has_each_page_once),
            ["docs/SUMMARY.md:5", "docs/c.md:1"]
        );
    }
}
