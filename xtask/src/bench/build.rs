//! Builds the servers.

use super::context::Context;
use super::processes::Group;
use super::target::{Package, Target};
use anyhow::Context as _;
use anyport_bench_load::{Interrupted, Timeout};
use cargo_metadata::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, ErrorKind, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Instant;
use std::{env, fs, io, thread};

/// The profile of all servers.
const PROFILE: &str = "measure";

/// The binaries, or why they could not be built.
pub(super) type Binaries = BTreeMap<Package, Result<PathBuf, String>>;

/// Builds each package of these targets once. A package that fails costs the rows of its targets.
pub(super) fn build(context: &mut Context, targets: &[Target]) -> Result<(), Interrupted> {
    let upstreams: Vec<Target> = targets.iter().filter_map(Target::upstream).collect();
    let all = targets.iter().chain(&upstreams);
    let packages: BTreeSet<Package> = all.filter_map(Target::package).collect();
    for (index, &package) in packages.iter().enumerate() {
        context.timeout.check()?;
        let (number, all, name) = (index + 1, packages.len(), package.name);
        let text = format!("building {name} ({number} of {all})");
        context.progress.print(&text);
        let start = Instant::now();
        let outcome = build_package(context, package);
        context.timeout.check()?;
        let seconds = start.elapsed().as_secs();
        if seconds > 5 {
            let text = format!("built {name} in {seconds} s");
            context.progress.print(&text);
        }
        let outcome = outcome.map_err(|error| format!("{error:#}"));
        context.binaries.insert(package, outcome);
    }
    Ok(())
}

fn build_package(context: &Context, package: Package) -> anyhow::Result<PathBuf> {
    let folder = match package.is_peer {
        false => context.root.clone(),
        true => context.root.join("benches/peers"),
    };
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(folder)
        .args(["build", "--locked", "--profile", PROFILE])
        .args(["--package", package.name, "--bin", package.name])
        .args(["--message-format", "json-render-diagnostics"])
        // One for both workspaces, so that dependencies with the same features are built once.
        .args(["--target-dir", context.target_dir.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if !package.features.is_empty() {
        command.args(["--features", package.features]);
    }
    if !io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    let cargo = Group::spawn(&mut command).context("cannot start cargo")?;
    let mut programs = finish(cargo, &context.timeout)
        .with_context(|| format!("`{}` does not build; its errors stand above", package.name))?;
    let program = programs
        .remove(package.name)
        .with_context(|| format!("the build made no `{}`", package.name))?;
    let folder = match package.features {
        "" => "all".to_owned(),
        features => features.replace(',', "-"),
    };
    let folder = context.target_dir.join("servers").join(folder);
    keep(&program, folder.as_std_path())
}

/// Links it into another folder, since a build with other features would overwrite it.
fn keep(built: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let kept = folder.join(built.file_name().unwrap_or(built.as_os_str()));
    let _ = fs::remove_file(&kept);
    match fs::hard_link(built, &kept) {
        // Another bench did it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(kept),
        linked => linked
            .map(|()| kept)
            .with_context(|| format!("cannot link {}", built.display())),
    }
}

/// Waits for cargo, and gives the programs that it made. Ctrl-C ends it.
fn finish(mut cargo: Group, timeout: &Timeout) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let stdout = cargo.0.stdout.take().context("cargo has no stdout")?;
    let reader = thread::spawn(|| programs(stdout));
    while !reader.is_finished() {
        timeout.sleep(Timeout::TICK)?;
    }
    let status = cargo.0.wait()?;
    anyhow::ensure!(status.success(), "cargo ended with {status}");
    reader
        .join()
        .map_err(|_| anyhow::anyhow!("cannot read cargo's messages"))?
}

/// The executables in cargo's messages.
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
