//! A run of the bench against stand-ins.

use crate::stand_in::{CARGO, COMPILING, FAULT, FOLDER, VARIABLE};
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
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Bench {
    child: Child,
    folder: TempDir,
}

pub(crate) struct Outcome {
    /// The exit code; nothing if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What stdout and stderr had.
    pub(crate) text: String,
    pub(crate) said: String,
    pub(crate) rows: Vec<Value>,
    folder: TempDir,
}

impl Bench {
    /// Starts `bench` with whatever it is told; `wrong` is what its servers do wrong.
    pub(crate) fn start(wrong: &str, arguments: &str) -> Self {
        Self::start_as(Command::new(XTASK), Stdio::piped(), wrong, "", arguments)
    }

    /// The same by a command that is or becomes xtask, with its output going there; with `fault`,
    /// the servers are real ones.
    pub(crate) fn start_as(
        mut xtask: Command,
        stdout: Stdio,
        wrong: &str,
        fault: &str,
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
            .env(VARIABLE, wrong)
            .env(FAULT, fault)
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

    /// Waits for a server to run.
    pub(crate) fn until_serving(&self) {
        wait(|| {
            self.processes()
                .iter()
                .any(|&pid| is_stand_in(pid))
                .then_some(())
        });
    }

    /// Waits for a compiler to run, and for the cargo that started it.
    pub(crate) fn until_compiling(&self) {
        let compiling = |pid: &&u32| {
            let file = self.folder.path().join("processes").join(pid.to_string());
            fs::read_to_string(file).unwrap() == COMPILING && is_stand_in(**pid)
        };
        wait(|| (self.processes().iter().filter(compiling).count() == 2).then_some(()));
    }

    /// Waits until there is a result with a figure.
    pub(crate) fn until_measured(&self) {
        let path = self.folder.path().join("run/results.json");
        wait(|| {
            fs::read_to_string(&path)
                .is_ok_and(|text| text.contains("\"cpu\""))
                .then_some(())
        });
    }

    /// Waits for the end, and for that of everything it started.
    pub(crate) fn finish(mut self) -> Outcome {
        let stderr = read(self.child.stderr.take().unwrap());
        let stdout = self.child.stdout.take().map(read);
        let status = wait(|| self.child.try_wait().unwrap());
        let text = stdout.map_or_else(String::new, |stdout| stdout.join().unwrap());
        let said = stderr.join().unwrap();
        wait(|| (!self.processes().iter().any(|&pid| is_stand_in(pid))).then_some(()));
        let results = fs::read_to_string(self.folder.path().join("run/results.json"));
        let results = results.map(|text| serde_json::from_str::<Value>(&text).unwrap());
        let rows = results.map_or(Vec::new(), |results| {
            results["rows"].as_array().unwrap().clone()
        });
        Outcome {
            code: status.code(),
            text,
            said,
            rows,
            folder: std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()),
        }
    }

    /// All that were ever started.
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
        row.unwrap_or_else(|| panic!("no row of {target}: {}", self.said))
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

/// All that a pipe brings; a thread reads it, so that nobody waits for room in it.
fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

/// Whether a process is one of ours; its number may be somebody else's by now.
fn is_stand_in(pid: u32) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let program = file(&Path::new("/proc").join(pid.to_string()).join("exe"));
    program.is_ok_and(|program| program == file(&env::current_exe().unwrap()).unwrap())
}

fn wait<T>(mut until: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = until() {
            return value;
        }
        assert!(
            Instant::now() < end,
            "that didn't happen within {PATIENCE:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
