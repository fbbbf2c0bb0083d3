//! A figure that a document cites stands in the run that it names.
//!
//! A citation is a link into a `summary.md` whose text is a target, as code, and what stands in one of its cells: ``[`tcp` 1.003 (0.971–1.019)](..)``.

use super::links;
use super::repo::{Repo, Violation};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The end of what a citation links to.
const SUMMARY: &str = "/summary.md";

#[derive(Debug, Default)]
struct Citation {
    file: String,
    section: String,
    target: String,
    figure: String,
    at: usize,
}

/// Every link into the summary of a run names a target that has this figure there.
pub(super) fn stand_in_their_runs(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in repo.texts().filter(|(path, _)| path.ends_with(".md")) {
        for citation in citations(text) {
            let file = links::target(path, &citation.file).unwrap_or_default();
            if !repo.text(&file).is_some_and(|summary| holds(summary, &citation)) {
                violations.push(Violation::new(
                    path,
                    links::line(text, citation.at),
                    format!(
                        "{file} has no `{}` with `{}` in #{}; cite what stands there",
                        citation.target, citation.figure, citation.section
                    ),
                ));
            }
        }
    }
    violations
}

fn citations(text: &str) -> Vec<Citation> {
    let mut citations = Vec::new();
    let mut open: Option<Citation> = None;
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match (event, &mut open) {
            (Event::Start(Tag::Link { dest_url, .. }), _) => {
                let (file, section) = dest_url.split_once('#').unwrap_or((&dest_url, ""));
                open = file.ends_with(SUMMARY).then(|| Citation {
                    file: file.to_owned(),
                    section: section.to_owned(),
                    at: range.start,
                    ..Citation::default()
                });
            }
            (Event::Code(code), Some(citation)) => citation.target = code.to_string(),
            (Event::Text(text), Some(citation)) => citation.figure += &text,
            (Event::SoftBreak | Event::HardBreak, Some(citation)) => citation.figure += " ",
            (Event::End(TagEnd::Link), _) => {
                // Without a digit it only leads there.
                let is_figure =
                    |citation: &Citation| citation.figure.contains(|letter: char| letter.is_ascii_digit());
                citations.extend(open.take().filter(is_figure));
            }
            _ => {}
        }
    }
    citations
}

/// Whether the target's row of the section has a cell that begins like this.
fn holds(summary: &str, citation: &Citation) -> bool {
    let figure = citation.figure.trim();
    let mut is_inside = false;
    summary.lines().any(|line| {
        if let Some(head) = line.strip_prefix("## ") {
            is_inside = anchor(head) == citation.section;
        }
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        is_inside
            && cells.next() == Some(citation.target.as_str())
            && cells.any(|cell| {
                cell.strip_prefix(figure)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            })
    })
}

/// As the hosts of repositories name a heading.
fn anchor(head: &str) -> String {
    let letters = head.to_lowercase().replace(' ', "-");
    letters
        .chars()
        .filter(|letter| letter.is_alphanumeric() || *letter == '-')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::stand_in_their_runs;
    use crate::tidy::repo::Repo;

    const SUMMARY: &str = "\
# a-run

## New connections

| target | reference | CPU time × reference      |
|--------|-----------|---------------------------|
| tcp    | hyper     | 0.980 (0.970–0.990) **+** |
| axum   | hyper     |                     1.052 |

## System calls

| target | 1 connection |
|--------|--------------|
| tcp    |         3.00 |
";

    fn flagged(text: &str) -> Vec<String> {
        let files = [("docs/a.md", text), ("benches/results/r/summary.md", SUMMARY)];
        Repo::fixture(Vec::new(), &files).flagged(stand_in_their_runs)
    }

    #[test]
    fn what_stands_there_passes() {
        let text = "\
| load | see |
|---|---|
| new | [`tcp` 0.980 (0.970–0.990)](../benches/results/r/summary.md#new-connections) |

[`axum` 1.052](../benches/results/r/summary.md#new-connections), [the run](../benches/results/r/summary.md),
[`tcp`
3.00](../benches/results/r/summary.md#system-calls), [`core`](../core/src/lib.rs)
";
        assert_eq!(flagged(text), [""; 0]);
    }

    #[test]
    fn what_doesnt_is_flagged() {
        let cite = |text, section| format!("[{text}](../benches/results/r/summary.md#{section})");
        for (text, section) in [
            ("`tcp` 0.98", "new-connections"),
            ("`tcp` 1.052", "new-connections"),
            ("`tcp` 3.00", "new-connections"),
            ("`tcp` 3.00", "latency"),
            ("`nginx` 1.052", "new-connections"),
        ] {
            assert_eq!(flagged(&cite(text, section)), ["docs/a.md:1"], "{text}");
        }
        assert_eq!(flagged(&cite("1.052", "new-connections")), ["docs/a.md:1"]);
        assert_eq!(
            flagged("\n[`tcp` 3.00](../benches/results/gone/summary.md#system-calls)"),
            ["docs/a.md:2"]
        );
    }
}
