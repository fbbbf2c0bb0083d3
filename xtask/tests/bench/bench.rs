//! A run of the bench against stand-ins.

use crate::stand_in::{CARGO, COMPILING, FOLDER, VARIABLE};
use serde_json::Value;
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use tempfile::TempDir;

pub(crate) const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    child: Child,
    folder: TempDir,
}

pub(crate) struct Outcome {
    /// What the process exited with; nothing if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The JSON lines.
    pub(crate) rows: Vec<Value>,
    /// All that it printed.
    pub(crate) text: String,
    /// What it said beside them.
    pub(crate) said: String,
}

impl Bench {
    /// Starts `bench cpu`; `wrong` is what its servers do wrong.
    pub(crate) fn start(wrong: &str, arguments: &[&str]) -> Self {
        Self::start_with(
            wrong,
            &[&["cpu", "--json", "--keep-disturbed"], arguments].concat(),
        )
    }

    /// Starts `bench` with whatever it's told.
    pub(crate) fn start_with(wrong: &str, arguments: &[&str]) -> Self {
        Self::start_as(&mut Command::new(XTASK), Stdio::piped(), wrong, arguments)
    }

    /// The same, with its output going there.
    pub(crate) fn start_to(stdout: Stdio, wrong: &str, arguments: &[&str]) -> Self {
        Self::start_as(&mut Command::new(XTASK), stdout, wrong, arguments)
    }

    /// The same by a command that is or becomes xtask.
    pub(crate) fn start_as(xtask: &mut Command, stdout: Stdio, wrong: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = xtask
            .arg("bench")
            .args(arguments)
            .env(CARGO, env::var_os("CARGO").unwrap())
            .env("CARGO", env::current_exe().unwrap())
            .env(VARIABLE, wrong)
            .env(FOLDER, folder.path())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Waits for a server to run.
    pub(crate) fn until_serving(&self) {
        wait(|| self.processes().iter().any(|&pid| is_stand_in(pid)).then_some(()));
    }

    /// Waits for a compiler to run, and for the cargo that started it.
    pub(crate) fn until_compiling(&self) {
        let compiling = |pid: &&u32| {
            let file = self.folder.path().join(pid.to_string());
            fs::read_to_string(file).unwrap() == COMPILING && is_stand_in(**pid)
        };
        wait(|| (self.processes().iter().filter(compiling).count() == 2).then_some(()));
    }

    /// Waits for the end, and for that of everything it started.
    pub(crate) fn finish(mut self) -> Outcome {
        let stderr = read(self.child.stderr.take().unwrap());
        let stdout = self.child.stdout.take().map(read);
        let status = wait(|| self.child.try_wait().unwrap());
        let text = stdout.map_or_else(String::new, |stdout| stdout.join().unwrap());
        let said = stderr.join().unwrap();
        wait(|| (!self.processes().iter().any(|&pid| is_stand_in(pid))).then_some(()));
        Outcome {
            code: status.code(),
            rows: text
                .lines()
                .filter(|line| line.starts_with('{'))
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            text,
            said,
        }
    }

    /// All that were ever started.
    fn processes(&self) -> Vec<u32> {
        let names = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .map(|name| name.to_str().unwrap().parse().unwrap())
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
    /// The value of a target's row, or the reason why there's none.
    pub(crate) fn value(&self, target: &str, unit: &str) -> Result<f64, String> {
        let found = |row: &&Value| row["target"] == target && row["unit"] == unit;
        let row = self.rows.iter().find(found).unwrap();
        row["value"]
            .as_f64()
            .ok_or_else(|| row["reason"].as_str().unwrap().to_owned())
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
    // By its number: the bench has given it another name.
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
        assert!(Instant::now() < end, "that didn't happen within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
