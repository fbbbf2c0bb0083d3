//! Builds the servers: each package once, so that one that doesn't build costs its own rows only.

use super::session::Session;
use super::target::{Allocator, Home, Package, Target};
use anyhow::Context as _;
use anyport_bench_load::{Interrupted, Patience};
use cargo_metadata::Message;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::{env, fs, io, thread};

/// The profile of everything that's measured.
const PROFILE: &str = "measure";

/// What was built, or why it wasn't.
pub(super) struct Binaries {
    packages: BTreeMap<Package, Result<BTreeMap<String, PathBuf>, String>>,
}

impl Binaries {
    /// Whether everything was built.
    pub(super) fn are_all(&self) -> bool {
        self.packages.values().all(Result::is_ok)
    }

    /// The binary of a target that allocates so.
    ///
    /// # Errors
    ///
    /// Why there's none.
    pub(super) fn program(&self, target: Target, allocator: Allocator) -> anyhow::Result<&Path> {
        let package = target.package();
        let built = self.packages.get(&package).context("it wasn't built")?;
        let programs = built.as_ref().map_err(|reason| anyhow::anyhow!("{reason}"))?;
        let binary = package.binary(allocator);
        let program = programs
            .get(&binary)
            .with_context(|| format!("the build made no `{binary}`"))?;
        Ok(program)
    }
}

/// Builds what the targets need, with these allocators.
pub(super) fn build(
    session: &Session,
    targets: &[Target],
    allocators: &[Allocator],
) -> Result<Binaries, Interrupted> {
    let packages: BTreeSet<Package> = targets.iter().map(|target| target.package()).collect();
    let mut built = BTreeMap::new();
    for package in packages {
        session.patience.check()?;
        let outcome = build_package(session, package, allocators);
        session.patience.check()?;
        built.insert(package, outcome.map_err(|error| format!("{error:#}")));
    }
    Ok(Binaries { packages: built })
}

fn build_package(
    session: &Session,
    package: Package,
    allocators: &[Allocator],
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let (folder, target_dir) = match package.home {
        Home::Main => (session.root.clone(), session.target_dir.clone()),
        // Beside ours, so that `cargo clean` and .gitignore know it.
        Home::Peers => (
            session.root.join("benches/peers"),
            session.target_dir.join("peers"),
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
        .args([
            "--message-format",
            "json-render-diagnostics",
            "--target-dir",
            target_dir.as_str(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // With its compilers it's ended by the bench, whichever signal that has got, and whether or not they have.
        .process_group(0);
    if !package.features.is_empty() {
        command.args(["--features", package.features]);
    }
    for &allocator in allocators {
        command.args(["--bin", &package.binary(allocator)]);
    }
    if !io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    let cargo = Cargo(command.spawn().context("cannot start cargo")?);
    let programs = cargo
        .finish(&session.patience)
        .with_context(|| format!("`{}` does not build; its errors stand above", package.name))?;
    keep(
        programs,
        session
            .target_dir
            .join("servers")
            .join(package.folder())
            .as_std_path(),
    )
}

/// Puts them aside: with other features the package's binaries have the same names. What they're built from has one folder nevertheless, so it's built once.
fn keep(programs: BTreeMap<String, PathBuf>, folder: &Path) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let keep = |(name, built): (String, PathBuf)| {
        let kept = folder.join(&name);
        link(&built, &kept).with_context(|| format!("cannot put {} aside", kept.display()))?;
        Ok((name, kept))
    };
    programs.into_iter().map(keep).collect()
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
        // Not once it's reaped: its number may be another group's by then, and its compilers have ended before it.
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
