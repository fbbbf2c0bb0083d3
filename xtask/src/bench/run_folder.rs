//! The folder of a run: all that was measured lies there, and what was measured so far lies there at any moment.

use super::environment::timestamp;
use super::results::{ENVIRONMENT, Environment, RESULTS, Results, Section, histogram};
use super::target::Target;
use super::turns::Course;
use anyhow::Context as _;
use anyport_bench_load::Latency;
use serde::Serialize;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

/// Each window, kept or thrown away, on a line of its own.
const ROUNDS: &str = "rounds.jsonl";

#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    results: Results,
    rounds: File,
}

impl RunFolder {
    /// Makes the folder, which takes its name from the time and the commit, or `path`; the environment lies in it at once.
    ///
    /// # Errors
    ///
    /// When nothing can be written there, or when there's a run already.
    pub(super) fn create(
        parent: &Path,
        path: Option<&Path>,
        command: String,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => parent.join(name(environment)),
        };
        anyhow::ensure!(
            !path.join(ENVIRONMENT).exists(),
            "{} holds a run already; name another folder, or remove it",
            path.display()
        );
        fs::create_dir_all(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        let run = path.file_name().unwrap_or(path.as_os_str());
        let results = Results::new(run.to_string_lossy().into_owned(), command);
        let rounds = path.join(ROUNDS);
        let rounds = File::create(&rounds).with_context(|| format!("cannot write {}", rounds.display()))?;
        let folder = Self {
            path,
            results,
            rounds,
        };
        folder.write(ENVIRONMENT, &pretty(environment)?)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// One more window.
    pub(super) fn log(&self, window: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(window)?;
        line.push(b'\n');
        (&self.rounds)
            .write_all(&line)
            .with_context(|| format!("cannot write {}", self.path.join(ROUNDS).display()))
    }

    /// One more figure, or one more part of it, with which `results.json` is written anew.
    pub(super) fn add(&mut self, section: Section) -> anyhow::Result<()> {
        let mut sections = self.results.sections.iter_mut();
        match sections.find(|known| known.figure == section.figure) {
            Some(known) => known.take(section),
            None => self.results.sections.push(section),
        }
        self.write(RESULTS, &pretty(&self.results)?)
    }

    /// How late the answers of a target were, as HdrHistogram's own tools print and plot it, in microseconds.
    pub(super) fn add_latency(
        &self,
        course: &Course,
        target: Target,
        latency: &Latency,
    ) -> anyhow::Result<()> {
        let name = histogram(course.figure, course.workload, course.connections, target.name());
        self.write(&name, &percentiles(latency))
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        write(&self.path.join(name), text)
    }
}

/// Writes a file, of which there's all of the old one until there's all of the new one.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        // Everybody's to read, as far as the umask lets them.
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn percentiles(latency: &Latency) -> String {
    /// How many lines there are for each halving of the distance to 100 %.
    const TICKS: u32 = 5;
    let microseconds = |nanoseconds: f64| nanoseconds / 1000.0;
    let histogram = latency.histogram();
    let mut text = "       Value   Percentile   TotalCount 1/(1-Percentile)\n\n".to_owned();
    let mut count = 0;
    for value in histogram.iter_quantiles(TICKS) {
        count += value.count_since_last_iteration();
        let share = value.quantile_iterated_to();
        let inverse = match 1.0 / (1.0 - share) {
            inverse if inverse.is_finite() => format!("{inverse:14.2}"),
            _ => String::new(),
        };
        let value = microseconds(value.value_iterated_to() as f64);
        text += format!("{value:12.3} {share:14.12} {count:10} {inverse}").trim_end();
        text.push('\n');
    }
    text + &format!(
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n#[Max     = {:12.3}, Total count    = {:12}]\n",
        microseconds(histogram.mean()),
        microseconds(histogram.stdev()),
        microseconds(histogram.max() as f64),
        histogram.len()
    )
}

fn pretty(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn name(environment: &Environment) -> String {
    let time = timestamp(OffsetDateTime::now_utc()).replace(':', "-");
    let commit = environment
        .get("commit")
        .and_then(|commit| commit.split(' ').next());
    match commit {
        Some(commit) => format!("{time}-{commit}"),
        None => time,
    }
}

#[cfg(test)]
mod tests {
    use super::{ROUNDS, RunFolder};
    use crate::bench::results::{Environment, Results, Section, read_environment};
    use std::os::unix::fs::symlink;

    fn section() -> Section {
        Section {
            figure: "syscalls".to_owned(),
            about: "System calls per request.".to_owned(),
            notes: Vec::new(),
            interrupted: false,
            records: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let parent = tempfile::tempdir().unwrap();
        let environment = Environment::from([("commit".to_owned(), "0123456789ab with changes".to_owned())]);
        let mut folder =
            RunFolder::create(parent.path(), None, "a command".to_owned(), &environment).unwrap();
        folder.add(section()).unwrap();
        assert!(folder.path().to_str().unwrap().ends_with("Z-0123456789ab"));
        assert_eq!(read_environment(folder.path()).unwrap(), environment);
        assert_eq!(Results::read(folder.path()).unwrap(), folder.results);
    }

    #[test]
    fn a_run_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let create = || {
            RunFolder::create(
                folder.path(),
                Some(folder.path()),
                String::new(),
                &Environment::new(),
            )
        };
        create().unwrap();
        let error = create().unwrap_err().to_string();
        assert!(
            error.contains("holds a run already; name another folder"),
            "{error}"
        );
    }

    #[test]
    fn a_full_disk_is_told() {
        let parent = tempfile::tempdir().unwrap();
        // Where every byte is too much.
        symlink("/dev/full", parent.path().join(ROUNDS)).unwrap();
        let folder = RunFolder::create(
            parent.path(),
            Some(parent.path()),
            String::new(),
            &Environment::new(),
        )
        .unwrap();
        let error = format!("{:#}", folder.log(&1).unwrap_err());
        assert!(error.contains("rounds.jsonl: No space left on device"), "{error}");
    }

    #[test]
    fn what_is_no_folder_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = RunFolder::create(file.path(), Some(file.path()), String::new(), &Environment::new());
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("cannot make the folder"), "{error}");
    }

    #[test]
    fn another_format_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("results.json"),
            r#"{"format": 9, "run": "", "command": "", "sections": []}"#,
        )
        .unwrap();
        let error = format!("{:#}", Results::read(folder.path()).unwrap_err());
        assert!(
            error.contains("has format 9, and this bench reads formats 1 to 2"),
            "{error}"
        );
    }
}
