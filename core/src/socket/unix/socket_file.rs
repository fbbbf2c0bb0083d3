//! The file of a listening socket: creation, mode, owner, and removal.
use super::{
    Access,
    lock_file::LockFile,
    source::{path_address, unbound},
};
use socket2::{SockAddr, Socket};
use std::{
    fs::{self, FileType},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// The file of a socket that this process bound. Dropping it removes the file, unless another file
/// is at its path by then.
///
/// Drop it before the socket is closed: until then the kernel gives the file's inode to no other
/// file.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
    /// Held as long as this server owns the path.
    _lock: LockFile,
}

impl SocketFile {
    /// Binds a socket to `path` and sets the file's mode and owner. It does not listen yet, so no
    /// client can connect.
    ///
    /// An existing file is replaced if it is a socket on which no server listens any more.
    pub(super) fn bind(path: &Path, access: Access) -> io::Result<(Socket, Self)> {
        let address = path_address(path)?;
        // Absolute, because the working directory may change.
        let path = std::path::absolute(path)?;
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        let lock = LockFile::acquire(lock.as_ref())?;
        clear(&path, &address)?;
        let socket = unbound()?;
        socket.bind(&address)?;
        let file = Self {
            inode: inode(&path)?,
            path,
            _lock: lock,
        };
        access.apply(&file.path)?;
        Ok((socket, file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // If the folder is no longer writable, the file stays, and the next server replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Removes the socket of a server that has ended. Anything else at the path is an error and stays.
fn clear(path: &Path, address: &SockAddr) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(file) => file.file_type(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if !there.is_socket() {
        let what = format!(
            "{} exists, and only a socket without a listener is replaced (choose another path, or remove it)",
            described(there)
        );
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    match unbound()?.connect(address) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => remove_stale(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            let what = "a socket exists that this user may not connect to, so it may be in use (choose another path, or remove it)";
            Err(io::Error::new(e.kind(), what))
        }
        // A server listens, or its queue is full (EAGAIN), or it listens with another type of
        // socket (EPROTOTYPE).
        Ok(()) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            let what = format!(
                "a socket without a listener exists, but it cannot be removed: {} (remove it as its owner)",
                e.kind()
            );
            Err(io::Error::new(e.kind(), what))
        }
        _ => Ok(()),
    }
}

fn described(file: FileType) -> &'static str {
    match file {
        _ if file.is_dir() => "a directory",
        _ if file.is_symlink() => "a symbolic link",
        _ if file.is_file() => "a regular file",
        _ => "a device or a pipe",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::{fs::PermissionsExt, net::UnixStream};

    #[test]
    fn clients_cannot_connect_before_mode_and_owner_are_set() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let us = fs::metadata(folder.path()).unwrap();
        let access = Access {
            mode: Some(0o606),
            user: Some(us.uid()),
            group: Some(us.gid()),
        };
        let (socket, _file) = SocketFile::bind(&path, access).unwrap();
        let there = fs::metadata(&path).unwrap();
        assert_eq!(there.permissions().mode() & 0o777, 0o606);
        assert_eq!((there.uid(), there.gid()), (us.uid(), us.gid()));
        let refused = UnixStream::connect(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        socket.listen(1).unwrap();
        UnixStream::connect(&path).unwrap();
    }
}
