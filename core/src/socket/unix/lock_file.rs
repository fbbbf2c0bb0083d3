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

/// So often another server may come and go between two of our own steps.
const TRIES: usize = 100;

/// A file that's locked (flock(2)) for as long as this lives, and gone afterwards.
///
/// Whoever dies, leaves the file behind without a lock on it; the next one takes it. Removing it is
/// safe, since it's done under the lock, and since a lock counts only if the locked file is still
/// the one at the path: who waited with an older one, tries again.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    file: File,
}

impl LockFile {
    /// Takes the lock, or says that the address is in use.
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let file = open_or_create(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::AddrInUse.into()),
                Err(e) => {
                    return Err(trouble(
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
        Err(trouble(path, "is replaced again and again"))
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
        // What isn't empty was there before us, and is something else besides.
        let empty = self.file.metadata().is_ok_and(|file| file.len() == 0);
        if empty && self.is_at_its_path() {
            // A folder that's no longer writable keeps it; that does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Without following a symbolic link, which somebody may have put there on purpose.
fn open_or_create(path: &Path) -> io::Result<File> {
    let flags =
        OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|e| {
        match (e, fs::symlink_metadata(path)) {
            // Not about the lock, but about the folder, as binding would be.
            (e, Err(_)) => e.into(),
            (_, Ok(at)) if !at.is_file() => no_file(path),
            (Errno::ACCESS | Errno::PERM, Ok(at)) => trouble(
                path,
                &format!(
                    "belongs to user {}: run as that user, or remove it",
                    at.uid()
                ),
            ),
            (e, Ok(_)) => trouble(path, &format!("cannot be opened: {}", io::Error::from(e))),
        }
    })?;
    let file = File::from(file);
    if !file.metadata()?.is_file() {
        return Err(no_file(path));
    }
    Ok(file)
}

fn no_file(path: &Path) -> io::Error {
    trouble(path, "is not a regular file: remove it")
}

fn trouble(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("its lock {} {what}", path.display()))
}
