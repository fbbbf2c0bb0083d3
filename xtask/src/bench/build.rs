//! Builds the servers: each package once, so that one that doesn't build costs its own rows only.

use super::context::Context;
use super::target::{Package, Program, Target};
use anyhow::Context as _;
use anyport_bench_load::{Interrupted, Patience};
use cargo_metadata::Message;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

/// The profile of everything that's measured.
const PROFILE: &str = "measure";

/// What was built, or why it wasn't.
pub(super) struct Binaries {
    built: BTreeMap<Package, Result<PathBuf, String>>,
}

impl Binaries {
    /// Whether everything was built.
    pub(super) fn are_all(&self) -> bool {
        self.built.values().all(Result::is_ok)
    }

    /// The binary of a target.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) fn program(&self, target: &Target) -> anyhow::Result<&Path> {
        let package = target.package().context("it is not built by the bench")?;
        let built = self.built.get(&package).context("it was not built")?;
        built
            .as_deref()
            .map_err(|reason| anyhow::anyhow!("{reason}"))
    }
}

/// Builds what the targets need, each package once, so that one that does not build costs its own
/// rows.
pub(super) fn build(context: &Context, targets: &[Target]) -> Result<Binaries, Interrupted> {
    let packages: BTreeSet<Package> = targets
        .iter()
        .filter_map(|target| match target.program {
            Program::Built { package, .. } => Some(package),
            Program::Command(_) => None,
        })
        .collect();
    let mut built = BTreeMap::new();
    for (index, &package) in packages.iter().enumerate() {
        context.patience.check()?;
        context.progress.say(&format!(
            "building {} ({} of {})",
            package.binary,
            index + 1,
            packages.len()
        ));
        let begun = Instant::now();
        let outcome = build_package(context, package);
        context.patience.check()?;
        if begun.elapsed() > Duration::from_secs(5) {
            context.progress.say(&format!(
                "built {} in {} s",
                package.binary,
                begun.elapsed().as_secs()
            ));
        }
        built.insert(package, outcome.map_err(|error| format!("{error:#}")));
    }
    Ok(Binaries { built })
}

fn build_package(context: &Context, package: Package) -> anyhow::Result<PathBuf> {
    let (folder, target_dir) = match package.is_peer {
        false => (context.root.clone(), context.target_dir.clone()),
        // Beside ours, so that `cargo clean` and .gitignore know it.
        true => (
            context.root.join("benches/peers"),
            context.target_dir.join("peers"),
        ),
    };
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(folder)
        .args([
            "build",
            "--locked",
            "--profile",
            PROFILE,
            "--package",
            package.name,
        ])
        .args(["--bin", package.binary])
        .args(["--message-format", "json-render-diagnostics"])
        .args(["--target-dir", target_dir.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // With its compilers it is ended by the bench, whichever signal that has got, and whether
        // or not they have.
        .process_group(0);
    if !package.features.is_empty() {
        command.args(["--features", package.features]);
    }
    if !io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    let cargo = Cargo(command.spawn().context("cannot start cargo")?);
    let mut programs = cargo
        .finish(&context.patience)
        .with_context(|| format!("`{}` does not build; its errors stand above", package.name))?;
    let program = programs
        .remove(package.binary)
        .with_context(|| format!("the build made no `{}`", package.binary))?;
    let folder = match package.features {
        "" => "all".to_owned(),
        features => features.replace(',', "-"),
    };
    keep(
        &program,
        context
            .target_dir
            .join("servers")
            .join(folder)
            .as_std_path(),
    )
}

/// Puts it aside: with other features the package's binary has the same name.
fn keep(built: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let kept = folder.join(built.file_name().unwrap_or(built.as_os_str()));
    link(built, &kept).with_context(|| format!("cannot put {} aside", kept.display()))?;
    Ok(kept)
}

/// Makes `to` another name of `from`, whatever it was, and whoever does the same meanwhile.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let own = to.with_extension(std::process::id().to_string());
    fs::hard_link(from, &own)?;
    let renamed = fs::rename(&own, to);
    // It's still there if both were the same file before (rename(2)).
    let _ = fs::remove_file(&own);
    renamed
}

/// A build under way; dropped, it's ended with all that it has started.
struct Cargo(Child);

impl Cargo {
    fn finish(mut self, patience: &Patience) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let stdout = self.0.stdout.take().context("cargo has no stdout")?;
        let reader = thread::spawn(|| programs(stdout));
        // A build may take its time, but it has to hear Ctrl-C.
        while !reader.is_finished() {
            patience.pause(Patience::TICK)?;
        }
        let status = self.0.wait()?;
        anyhow::ensure!(status.success(), "cargo ended with {status}");
        reader
            .join()
            .map_err(|_| anyhow::anyhow!("cannot read cargo's messages"))?
    }
}

impl Drop for Cargo {
    fn drop(&mut self) {
        // Not once it's reaped: its number may be another group's by then, and its compilers have
        // ended before it.
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

/// The executables that cargo's messages name.
fn programs(stdout: ChildStdout) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut programs = BTreeMap::new();
    for message in Message::parse_stream(BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message?
            && let Some(path) = artifact.executable
        {
            programs.insert(artifact.target.name, path.into_std_path_buf());
        }
    }
    Ok(programs)
}
