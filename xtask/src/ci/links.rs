//! Links in documents lead to files of the repository, and links in doc comments to items.

use crate::tidy::repo::{Repo, Violation};
use pulldown_cmark::{Event, Options, Parser, Tag};

/// Every relative link in a Markdown file leads to a file or a folder of the repository.
pub(super) fn resolve(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in repo.texts().filter(|(path, _)| path.ends_with(".md")) {
        for (link, at) in links(text) {
            let found = target(path, &link)
                .is_some_and(|target| repo.has_file(&target) || repo.has_folder(&target));
            if !found {
                violations.push(Violation::new(
                    path,
                    line(text, at),
                    format!("`{link}` leads nowhere; correct it or remove it"),
                ));
            }
        }
    }
    violations
}

/// No link in a doc comment is a path: docs.rs has no other files. rustdoc checks links to items.
pub(super) fn of_items_are_no_paths(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in repo.texts().filter(|(path, _)| path.ends_with(".rs")) {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let Some(doc) = ["///", "//!"]
                .iter()
                .find_map(|mark| line.strip_prefix(mark))
            else {
                continue;
            };
            for (link, _) in links(doc.trim_start()) {
                if link.contains('/') || link.ends_with(".md") {
                    let advice = format!("`{link}` leads nowhere on docs.rs; link to an item");
                    violations.push(Violation::new(path, index + 1, advice));
                }
            }
        }
    }
    violations
}

/// The relative links and images of a document, without their fragments, each with its position.
pub(super) fn links(text: &str) -> Vec<(String, usize)> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES)
        .into_offset_iter()
        .filter_map(|(event, range)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                let path = dest_url.split(['#', '?']).next().unwrap_or_default();
                // A colon is part of an address (`https:`, `mailto:`), or of an item
                // (`crate::Server`), which rustdoc checks.
                (!path.is_empty() && !path.contains(':')).then(|| (path.to_owned(), range.start))
            }
            _ => None,
        })
        .collect()
}

/// The line of this byte in a text.
pub(super) fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where a link in the document `path` leads, from the repository's root. `None`: out of the
/// repository.
pub(super) fn target(path: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    if link.starts_with('/') {
        parts.clear();
    }
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{of_items_are_no_paths, resolve};
    use crate::tidy::repo::Repo;

    fn flagged(path: &str, text: &str) -> Vec<String> {
        Repo::fixture(
            Vec::new(),
            &[(path, text), ("core/src/lib.rs", ""), ("docs/a.md", "")],
        )
        .flagged(resolve)
    }

    #[test]
    fn links_to_files_folders_and_elsewhere_pass() {
        let text = "\
[file](core/src/lib.rs) [folder](core/) [part](docs/a.md#part) [here](#part) [web](https://example.com/x)
[mail](mailto:a@example.com) [item](crate::Server) [root](/docs/a.md) ![image](./docs/../docs/a.md)

    [in code](nowhere)

`[in code](nowhere)` and [reference].

[reference]: docs/a.md
";
        assert_eq!(flagged("README.md", text), [""; 0]);
        assert_eq!(
            flagged(
                "core/README.md",
                "[up](../docs/a.md) [root](..) [down](src)"
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_path_in_a_doc_comment_is_flagged() {
        let text = "//! [page](docs/tls.md) [item](crate::Server) [web](https://example.com/x)\n\
            // [comment](docs/tls.md)\n    /// [README](README.md) and [`Server`]\nfn f() {}\n";
        let repo = Repo::fixture(Vec::new(), &[("src/lib.rs", text), ("a.md", text)]);
        assert_eq!(
            repo.flagged(of_items_are_no_paths),
            ["src/lib.rs:1", "src/lib.rs:3"]
        );
    }

    #[test]
    fn a_link_that_leads_nowhere_is_flagged_where_it_stands() {
        let text = "# Title\n\n[gone](core/src/gone.rs)\n![gone](gone.svg)\n\n| a |\n|---|\n| [gone](docs/b.md#x) |\n";
        assert_eq!(
            flagged("README.md", text),
            ["README.md:3", "README.md:4", "README.md:8"]
        );
        assert_eq!(
            flagged("core/README.md", "[gone](docs/a.md)"),
            ["core/README.md:1"]
        );
        assert_eq!(flagged("README.md", "[out](../other)"), ["README.md:1"]);
        assert_eq!(
            flagged("README.md", "[reference].\n\n[reference]: docs/b.md\n"),
            ["README.md:1"]
        );
    }
}
