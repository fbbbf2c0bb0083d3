//! The lock file beside a socket's file: of several servers that want the path, one holds the lock.
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
};
use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Another server may replace the file between two steps this many times.
const TRIES: usize = 100;

/// A file that is locked (flock(2)) until this is dropped, and then removed.
///
/// A process that is killed leaves the file behind without a lock, and the next server locks it.
/// The removal is safe: it happens under the lock, and a lock counts only if the locked file is
/// still the one at the path. A server that got the lock of a replaced file tries again.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    file: File,
}

impl LockFile {
    /// Acquires the lock, or fails with "address in use".
    pub(super) fn acquire(path: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let file = open_or_create(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::AddrInUse.into()),
                Err(e) => {
                    return Err(lock_error(
                        path,
                        &format!("cannot be locked: {}", io::Error::from(e)),
                    ));
                }
            }
            let lock = Self {
                path: path.to_owned(),
                file,
            };
            if lock.is_at_its_path() {
                return Ok(lock);
            }
        }
        Err(lock_error(path, "is replaced again and again"))
    }

    fn is_at_its_path(&self) -> bool {
        let same = |file: Metadata, at: Metadata| (file.dev(), file.ino()) == (at.dev(), at.ino());
        let found = self
            .file
            .metadata()
            .ok()
            .zip(fs::symlink_metadata(&self.path).ok());
        found.is_some_and(|(file, at)| same(file, at))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // A file with content was not made by a server.
        let empty = self.file.metadata().is_ok_and(|file| file.len() == 0);
        if empty && self.is_at_its_path() {
            // If the folder is no longer writable, the file stays, which is harmless.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Does not follow a symbolic link, which may be an attack.
fn open_or_create(path: &Path) -> io::Result<File> {
    let flags =
        OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|e| {
        match (e, fs::symlink_metadata(path)) {
            // The error is about the folder, and a bind would return it, too.
            (e, Err(_)) => e.into(),
            (_, Ok(at)) if !at.is_file() => not_a_file(path),
            (Errno::ACCESS | Errno::PERM, Ok(at)) => lock_error(
                path,
                &format!(
                    "belongs to user {}: run as that user, or remove it",
                    at.uid()
                ),
            ),
            (e, Ok(_)) => lock_error(path, &format!("cannot be opened: {}", io::Error::from(e))),
        }
    })?;
    let file = File::from(file);
    if !file.metadata()?.is_file() {
        return Err(not_a_file(path));
    }
    Ok(file)
}

fn not_a_file(path: &Path) -> io::Error {
    lock_error(path, "is not a regular file: remove it")
}

fn lock_error(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("its lock {} {what}", path.display()))
}
