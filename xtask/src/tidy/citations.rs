//! A figure that a document cites stands in the run that it names, in the column that it names.
//!
//! A citation is a link into a `summary.md` whose text is a target, as code, and what stands in its cell, and whose title is the column:
//! ``[`tcp` 1.003 (0.971–1.019)](../summary.md#throughput "CPU time × reference, plaintext, 64 connections")``. A table of figures has a comment above it that says what
//! stands in its cells. So documents can be rewritten when there's another run: that's what `cargo xtask bench cite` does.

mod document;
#[cfg(target_os = "linux")]
mod rewrite;
mod summary;

use super::links;
use super::repo::{Repo, Violation};
use document::{Edit, edits};
#[cfg(target_os = "linux")]
pub(crate) use rewrite::cite;
use summary::Summary;

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

#[cfg(test)]
mod tests {
    use super::stand_in_their_runs;
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

    pub(super) const TABLE: &str = "\
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

    pub(super) fn repo(text: &str) -> Repo {
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

    pub(super) fn flagged(text: &str) -> Vec<String> {
        repo(text).flagged(stand_in_their_runs)
    }

    pub(super) fn cite(text: &str, column: &str) -> String {
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
    fn an_interval_stands_where_there_is_one() {
        let plain = TABLE.replace("0.980 (0.970–0.990), 14.4", "0.980, 14.4");
        assert_eq!(flagged(&plain), [""; 0]);
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
}
