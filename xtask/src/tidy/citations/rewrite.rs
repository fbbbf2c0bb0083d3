//! Documents that cite one run are rewritten to cite another one: nobody copies figures by hand.

use super::{Edit, Summary, documents, edits};
use crate::tidy::links;
use crate::tidy::repo::Repo;
use anyhow::Context as _;
use cargo_metadata::Metadata;
use std::fs;
use xshell::Shell;

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
    use super::super::tests::{TABLE, cite, flagged, repo};
    use super::rewrite;

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
