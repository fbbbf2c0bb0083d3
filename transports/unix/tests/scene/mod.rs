//! What the tests share: places for sockets, a raw handler that tells who connected, a user without
//! rights.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Connection, Transport};
use anyport_unix::Unix;
use hyper_util::rt::TokioIo;
use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

/// Nothing here takes nearly so long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The grace of a server that has nothing to do any more.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// A user and a group that own nothing.
pub(crate) const NOBODY: u32 = 65534;

/// A folder of its own for a test, and the path in it that the test is about.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.sock");
        Self { folder, path }
    }

    pub(crate) fn unix(&self) -> Unix {
        Unix::bind(&self.path)
    }

    /// The names of the files that are there, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = self.folder.path().read_dir().unwrap();
        let mut names: Vec<_> = names
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What binding the path says, without its begin.
    pub(crate) fn error(&self) -> String {
        error_at(&self.path, &self.unix())
    }
}

/// What binding says, without `cannot bind unix:PATH: `.
pub(crate) fn error_at(path: &Path, unix: &Unix) -> String {
    let error = error_of(unix);
    let begin = format!("cannot bind unix:{}: ", path.display());
    let rest = error.strip_prefix(&begin);
    rest.unwrap_or_else(|| panic!("{error} doesn't begin with {begin}"))
        .to_owned()
}

pub(crate) fn error_of(unix: &Unix) -> String {
    unix.open(1).unwrap_err().to_string()
}

/// The error of a path that somebody has.
pub(crate) fn in_use(path: &Path) -> String {
    format!(
        "address already in use (see who listens there: `ss -lxp src unix:{}`)",
        path.display()
    )
}

pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// What the server says before it closes.
pub(crate) fn listen_to(mut stream: UnixStream) -> io::Result<String> {
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// A raw handler that says who connected, and where, then closes: `PEER LOCAL CREDENTIALS`.
pub(crate) async fn who(connection: impl Connection) {
    let info = connection.info();
    let line = format!("{} {} {:?}", info.peer(), info.local(), info.peer_cred());
    let mut io = TokioIo::new(connection);
    // A client that doesn't want it any more is its own affair.
    let _ = io.write_all(line.as_bytes()).await;
    let _ = io.shutdown().await;
}

pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// The reason to ignore a test of what a user without rights sees.
pub(crate) fn needs_other_user() -> Option<String> {
    let failed = as_nobody(|| ()).err()?;
    Some(format!("needs to become another user: {failed}"))
}

/// The reason to ignore a test of two users.
pub(crate) fn needs_root() -> Option<String> {
    match is_root() {
        true => needs_other_user(),
        false => Some("needs root".to_owned()),
    }
}

/// Runs it on a thread of a user without rights; on this one, if it's that already.
pub(crate) fn without_rights<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    as_nobody(body).unwrap()
}

fn as_nobody<T: Send>(body: impl FnOnce() -> T + Send) -> io::Result<T> {
    if !is_root() {
        return Ok(body());
    }
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            // Of this thread alone: the system calls are, libc's functions of these names are not.
            set_thread_groups(&[])?;
            set_thread_res_gid(group, group, group)?;
            set_thread_res_uid(user, user, user)?;
            Ok(body())
        });
        thread.join().unwrap()
    })
}
