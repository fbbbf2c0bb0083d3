//! A figure that a document cites stands in the run that it names, in the column that it names.
//!
//! A citation is a link into a `summary.md` whose text is a target, as code, and what stands in its cell, and whose title is the column:
//! ``[`tcp` 1.003 (0.971–1.019)](../summary.md#throughput "CPU time × reference, plaintext, 64 connections")``. A table of figures has a comment above it that says what
//! stands in its cells. So documents can be rewritten when there's another run: that's what `cargo xtask bench cite` does.

mod document;
mod summary;

use super::links;
use super::repo::{Repo, Violation};
use anyhow::Context as _;
use cargo_metadata::Metadata;
use document::{Edit, edits};
use std::fs;
use summary::Summary;
use xshell::Shell;

/// All that documents cite is what stands there.
pub(super) fn stand_in_their_runs(repo: &Repo) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in documents(repo) {
        for Edit { at, says } in edits(path, text, &|file| repo.text(file).map(Summary::read)) {
            let message = match says {
                Ok(says) => format!(
                    "`{}` is cited, and `{}` stands there; `cargo xtask bench cite` corrects it",
                    text[at.clone()].trim(),
                    says.trim()
                ),
                Err(fault) => format!("{fault}; cite what stands in a run"),
            };
            violations.push(Violation::new(path, links::line(text, at.start), message));
        }
    }
    violations
}

fn documents(repo: &Repo) -> impl Iterator<Item = (&str, &str)> {
    repo.texts()
        .filter(|(path, _)| path.ends_with(".md") && !path.ends_with("/summary.md"))
}

/// Lets the documents that cite `old` cite `new` instead, both folders below one parent in the repository; the documents that were changed.
///
/// # Errors
///
/// When something of what they cite isn't in `new`: then nothing is changed.
pub(crate) fn cite(metadata: &Metadata, old: &str, new: &str) -> anyhow::Result<Vec<String>> {
    let shell = Shell::new()?;
    shell.change_dir(&metadata.workspace_root);
    let repo = Repo::read(&shell, metadata)?;
    let (rewritten, faults) = rewrite(&repo, old, new);
    anyhow::ensure!(
        faults.is_empty(),
        "nothing was changed, since {new} lacks what's cited of {old}:\n{}",
        faults.join("\n")
    );
    for (path, text) in &rewritten {
        fs::write(metadata.workspace_root.join(path), text)
            .with_context(|| format!("cannot write {path}"))?;
    }
    Ok(rewritten.into_iter().map(|(path, _)| path).collect())
}

/// The documents that change, and why some can't.
fn rewrite(repo: &Repo, old: &str, new: &str) -> (Vec<(String, String)>, Vec<String>) {
    let summary = |run: &str| format!("{}/summary.md", run.trim_end_matches('/'));
    let (old, new) = (summary(old), summary(new));
    let (mut rewritten, mut faults) = (Vec::new(), Vec::new());
    if repo.text(&new).is_none() {
        return (rewritten, vec![format!("there's no {new}")]);
    }
    for (path, text) in documents(repo) {
        // What's read is the new run; whatever else is cited is none of this.
        let read = |file: &str| match file == old {
            true => repo.text(&new),
            false => repo.text(file),
        };
        let mut changed = text.to_owned();
        for Edit { at, says } in edits(path, text, &|file| read(file).map(Summary::read))
            .into_iter()
            .rev()
        {
            match says {
                Ok(says) => changed.replace_range(at, &says),
                Err(fault) => faults.push(format!("{path}:{}: {fault}", links::line(text, at.start))),
            }
        }
        let changed = changed.replace(folder(&old), folder(&new));
        if changed != text {
            rewritten.push((path.to_owned(), changed));
        }
    }
    (rewritten, faults)
}

/// The name of a run in all links to it: its folder's, and the one above, so that nothing else is called so.
fn folder(summary: &str) -> &str {
    let parts: Vec<&str> = summary.rsplitn(4, '/').collect();
    let outside = parts.get(3).map_or(0, |rest| rest.len() + 1);
    &summary[outside..summary.len() - "summary.md".len()]
}

#[cfg(test)]
mod tests {
    use super::{rewrite, stand_in_their_runs};
    use crate::tidy::repo::Repo;

    const OLD: &str = "\
# a-run

## New connections

| target | reference | CPU µs/connection | CPU time × reference      |
|--------|-----------|-------------------|---------------------------|
| tcp    | hyper     |              14.4 | 0.980 (0.970–0.990) **+** |
| axum   | hyper     |              15.0 |                     1.052 |

## Throughput

### Requests/s

| target | plaintext, 1 connection | json, 64 connections |
|--------|-------------------------|----------------------|
| tcp    |   65,002 *unsaturated*  |              217,885 |
| axum   |               60,152    |         not measured |

### CPU µs/request

| target | plaintext, 1 connection | json, 64 connections |
|--------|-------------------------|----------------------|
| tcp    |                    3.00 |                 3.00 |
";

    const TABLE: &str = "\
<!-- figures of ../benches/results/old/summary.md
rows: tcp, axum
#new-connections CPU time × reference & #new-connections CPU µs/connection
#throughput Requests/s, plaintext, 1 connection
-->
| what | new | rate |
|---|---:|---:|
| ours | 0.980 (0.970–0.990), 14.4 | 65,002 *unsaturated* |
| theirs | 1.052, 15.0 | 60,152 |
";

    fn repo(text: &str) -> Repo {
        let new = OLD
            .replace("14.4", "13.0")
            .replace("0.980 (0.970–0.990) **+**", "1.010 (0.9–1.1)");
        let files = [
            ("docs/a.md", text),
            ("benches/results/old/summary.md", OLD),
            ("benches/results/new/summary.md", &new),
        ];
        Repo::fixture(Vec::new(), &files)
    }

    fn flagged(text: &str) -> Vec<String> {
        repo(text).flagged(stand_in_their_runs)
    }

    fn cite(text: &str, column: &str) -> String {
        format!("[{text}](../benches/results/old/summary.md#{column})")
    }

    #[test]
    fn what_stands_there_passes() {
        let text = "\
| load | see |
|---|---|
| new | [`tcp` 0.980 (0.970–0.990)](../benches/results/old/summary.md#new-connections \"CPU time × reference\") |

[`tcp` 0.980](../benches/results/old/summary.md#new-connections \"CPU time × reference\"), [the run](../benches/results/old/summary.md),
[`tcp`
65,002](../benches/results/old/summary.md#throughput \"Requests/s, plaintext, 1 connection\"), [`core`](../core/src/lib.rs)
";
        assert_eq!(flagged(text), [""; 0]);
        assert_eq!(flagged(TABLE), [""; 0]);
    }

    #[test]
    fn what_doesnt_is_flagged() {
        for (text, column) in [
            ("`tcp` 0.98", "new-connections \"CPU time × reference\""),
            ("`tcp` 1.052", "new-connections \"CPU time × reference\""),
            ("`nginx` 1.052", "new-connections \"CPU time × reference\""),
            ("1.052", "new-connections \"CPU time × reference\""),
            // Another column, and none.
            ("`tcp` 14.4", "new-connections \"CPU time × reference\""),
            ("`tcp` 14.4", "new-connections \"p50 µs\""),
            ("`tcp` 14.4", "new-connections"),
            ("`tcp` 14.4", "latency \"CPU µs/connection\""),
            (
                "`axum` 217,885",
                "throughput \"Requests/s, json, 64 connections\"",
            ),
        ] {
            assert_eq!(flagged(&cite(text, column)), ["docs/a.md:1"], "{text} {column}");
        }
        let gone = cite("`tcp` 14.4", "new-connections \"CPU µs/connection\"").replace("/old/", "/gone/");
        assert_eq!(flagged(&format!("\n{gone}")), ["docs/a.md:2"]);
    }

    #[test]
    fn a_cell_of_a_table_that_is_not_so_is_flagged() {
        for (from, to, line) in [
            ("14.4 |", "14.5 |", 8),
            ("| 1.052, 15.0", "| 15.0, 1.052", 9),
            ("65,002 *unsaturated*", "65,002", 8),
            ("60,152 |", "60,152 | 1 |", 9),
            ("rows: tcp, axum", "rows: axum, tcp", 8),
            ("rows: tcp, axum", "rows: tcp", 1),
            ("rows: tcp, axum", "rows: tcp, nginx", 1),
            ("rate |", "rate |\n\n", 1),
        ] {
            let flagged = flagged(&TABLE.replace(from, to));
            assert_eq!(flagged.first(), Some(&format!("docs/a.md:{line}")), "{to}");
        }
    }

    #[test]
    fn targets_may_be_columns() {
        let text = "\
<!-- figures of ../benches/results/old/summary.md
columns: tcp, axum
#new-connections CPU µs/connection
-->
| what | ours | theirs |
|---|---|---|
| new | 14.4 | 15.0 |
";
        assert_eq!(flagged(text), [""; 0]);
        assert_eq!(flagged(&text.replace("15.0", "15.1")), ["docs/a.md:7"]);
    }

    #[test]
    fn documents_are_rewritten_for_another_run() {
        let link = cite(
            "`tcp` 0.980 (0.970–0.990)",
            "new-connections \"CPU time × reference\"",
        );
        let plain = cite("`tcp` 14.4", "new-connections \"CPU µs/connection\"");
        let (old, new) = ("benches/results/old", "benches/results/new");
        let (rewritten, faults) = rewrite(&repo(&format!("{link}, {plain}\n\n{TABLE}")), old, new);
        assert_eq!(faults, [""; 0]);
        let [(path, text)] = &rewritten[..] else {
            panic!("{rewritten:?}");
        };
        assert_eq!(path, "docs/a.md");
        assert!(
            text.contains("[`tcp` 1.010 (0.9–1.1)](../benches/results/new/"),
            "{text}"
        );
        assert!(text.contains("[`tcp` 13.0](../benches/results/new/"), "{text}");
        assert!(text.contains("| ours | 1.010 (0.9–1.1), 13.0 | 65,002"), "{text}");
        assert_eq!(flagged(text), [""; 0]);
    }

    #[test]
    fn what_another_run_lacks_is_told() {
        let text = cite("`tcp` 14.4", "new-connections \"CPU µs/connection\"");
        let (_, faults) = rewrite(&repo(&text), "benches/results/old", "benches/results/gone");
        assert_eq!(faults, ["there's no benches/results/gone/summary.md"]);
        let text = cite("`tcp` 14.4", "new-connections \"CPU µs/request\"");
        let (_, faults) = rewrite(&repo(&text), "benches/results/old", "benches/results/new");
        let lacks = "docs/a.md:1: #new-connections has no column \"CPU µs/request\"";
        assert_eq!(faults, [lacks]);
    }
}
