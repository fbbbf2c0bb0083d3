//! A run of the bench against stand-ins.

use crate::stand_in::{CARGO, COMPILING, FAULTS, FOLDER, REAL_FAULT};
use rustix::process::Pid;
use serde_json::Value;
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use tempfile::TempDir;

pub(crate) const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
/// Longer than anything here takes.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);

pub(crate) struct Bench {
    child: Child,
    folder: TempDir,
}

pub(crate) struct Outcome {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) rows: Vec<Value>,
    folder: TempDir,
}

impl Bench {
    /// Starts `bench` with these arguments, and its servers with these faults.
    pub(crate) fn start(faults: &str, arguments: &str) -> Self {
        Self::start_as(Command::new(XTASK), Stdio::piped(), faults, "", arguments)
    }

    /// The same by a command that is or becomes xtask, with this stdout. With `real_fault`, the
    /// servers are real ones with that fault.
    pub(crate) fn start_as(
        mut xtask: Command,
        stdout: Stdio,
        faults: &str,
        real_fault: &str,
        arguments: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("processes")).unwrap();
        let arguments = arguments.replace("FOLDER", folder.path().to_str().unwrap());
        let child = xtask
            .arg("bench")
            .args(arguments.split('|').map(str::trim))
            .env(CARGO, env::var_os("CARGO").unwrap())
            .env("CARGO", env::current_exe().unwrap())
            .env(FAULTS, faults)
            .env(REAL_FAULT, real_fault)
            .env(FOLDER, folder.path().join("processes"))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn wait_for_server(&self) {
        wait_until(|| self.runs());
    }

    /// Waits for a compiler, and for the cargo that started it.
    pub(crate) fn wait_for_compiler(&self) {
        let compiling = |pid: &&u32| {
            let file = self.folder.path().join("processes").join(pid.to_string());
            fs::read_to_string(file).unwrap() == COMPILING && is_stand_in(**pid)
        };
        wait_until(|| self.processes().iter().filter(compiling).count() == 2);
    }

    /// Waits until the results have a figure.
    pub(crate) fn wait_for_figures(&self) {
        let path = self.folder.path().join("run/results.json");
        wait_until(|| fs::read_to_string(&path).is_ok_and(|text| text.contains("\"cpu\"")));
    }

    /// Waits for the end of the bench, and of all processes that it started.
    pub(crate) fn finish(mut self) -> Outcome {
        let stderr = read(self.child.stderr.take().unwrap());
        let stdout = self.child.stdout.take().map(read);
        let mut status = None;
        wait_until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let stdout = stdout.map_or_else(String::new, |stdout| stdout.join().unwrap());
        let stderr = stderr.join().unwrap();
        wait_until(|| !self.runs());
        let results = fs::read_to_string(self.folder.path().join("run/results.json"));
        let results = results.map(|text| serde_json::from_str::<Value>(&text).unwrap());
        let rows = results.map_or(Vec::new(), |results| {
            results["rows"].as_array().unwrap().clone()
        });
        Outcome {
            code: status.unwrap().code(),
            stdout,
            stderr,
            rows,
            folder: std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()),
        }
    }

    /// Whether a process of ours runs.
    fn runs(&self) -> bool {
        self.processes().into_iter().any(is_stand_in)
    }

    /// All processes that were ever started.
    fn processes(&self) -> Vec<u32> {
        let names = fs::read_dir(self.folder.path().join("processes")).unwrap();
        names
            .map(|name| name.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    pub(crate) fn row(&self, target: &str) -> &Value {
        let row = self.rows.iter().find(|row| row["target"] == target);
        row.unwrap_or_else(|| panic!("no row of {target}: {}", self.stderr))
    }

    /// A figure of a target, or the reason why there is none.
    pub(crate) fn figure(&self, target: &str, unit: &str) -> Result<f64, String> {
        let row = self.row(target);
        let value = row["figures"][unit]["value"].as_f64();
        value.ok_or_else(|| row["reason"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Reads a pipe to its end, on a thread, so that writers never wait.
fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

/// Whether a process is one of ours. Its number may be reused.
fn is_stand_in(pid: u32) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let program = file(&Path::new("/proc").join(pid.to_string()).join("exe"));
    program.is_ok_and(|program| program == file(&env::current_exe().unwrap()).unwrap())
}

fn wait_until(mut is_over: impl FnMut() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !is_over() {
        assert!(Instant::now() < end, "nothing within {TIMEOUT:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
