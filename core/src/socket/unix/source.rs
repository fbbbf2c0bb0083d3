//! The source of a listening Unix socket, and the checks of its name.
use socket2::{Domain, SockAddr, Socket, Type};
#[cfg(target_os = "linux")]
use std::ffi::OsStr;
use std::{
    fmt, io,
    os::unix::{ffi::OsStrExt, net},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The maximum length of a name in bytes (`sun_path`, unix(7)). A path has one more byte, a zero at
/// its end. An abstract name has one more byte, a zero at its beginning.
const MAX_LENGTH: usize = if cfg!(any(target_os = "linux", target_os = "android")) {
    107
} else {
    103
};

/// The source of a listening socket.
#[derive(Clone, Debug)]
pub enum Source {
    /// Bind a path, which makes a file.
    Path(PathBuf),
    /// Bind a name in Linux's abstract namespace, without the zero byte at its beginning.
    #[cfg(target_os = "linux")]
    Abstract(Box<[u8]>),
    /// Adopt a socket that listens already.
    Adopt(Arc<net::UnixListener>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Control characters are escaped, so that an error stays one line.
            Self::Path(path) if path.as_os_str().as_bytes().iter().any(u8::is_ascii_control) => {
                write!(f, "unix:{}", path.as_os_str().as_bytes().escape_ascii())
            }
            Self::Path(path) => write!(f, "unix:{}", path.display()),
            #[cfg(target_os = "linux")]
            Self::Abstract(name) => write!(f, "unix:@{}", name.escape_ascii()),
            Self::Adopt(_) => f.write_str("an adopted listener"),
        }
    }
}

/// A non-blocking socket without a name.
pub(super) fn unbound() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.into())
}

fn too_long(what: &str, length: usize, instead: &str) -> io::Error {
    invalid(format!(
        "{what} is {length} bytes long, and the maximum is {MAX_LENGTH} ({instead})"
    ))
}

/// The address of a path, if it is valid.
pub(super) fn path_address(path: &Path) -> io::Result<SockAddr> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(invalid(
            "the path is empty (name a file, such as /run/app.sock)",
        ));
    }
    if bytes.contains(&0) {
        return Err(invalid(
            "a path cannot contain a zero byte (for a name in Linux's abstract namespace: `Unix::bind_abstract`)",
        ));
    }
    if bytes.ends_with(b"/") || path.file_name().is_none() {
        return Err(invalid("this is a folder (add the name of a file)"));
    }
    if bytes.len() > MAX_LENGTH {
        let instead = "choose a shorter one, or one relative to the working directory";
        return Err(too_long("the path", bytes.len(), instead));
    }
    SockAddr::unix(path)
}

/// The address of an abstract name, if it is valid.
#[cfg(target_os = "linux")]
pub(super) fn abstract_address(name: &[u8]) -> io::Result<SockAddr> {
    if name.is_empty() {
        return Err(invalid("the abstract name is empty (choose one)"));
    }
    if name.len() > MAX_LENGTH {
        return Err(too_long(
            "the abstract name",
            name.len(),
            "choose a shorter one",
        ));
    }
    SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()))
}
