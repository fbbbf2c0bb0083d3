//! Endpoints: the address of a peer, or of a listener.
use std::{fmt, net::SocketAddr, path::Path, sync::Arc};

/// An address of any transport.
///
/// `Display` gives the form that tools understand: `127.0.0.1:3000`, `[::1]:3000`,
/// `unix:/run/app.sock`, `unix:@name` for an abstract name, `unix:` for an unnamed peer, and the
/// text of [`Custom`](Self::Custom).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix domain socket.
    Unix(UnixName),
    /// An address of another kind, in the transport's notation, such as `vsock:3:1234`.
    Custom(Arc<str>),
}

/// The name of a Unix domain socket (unix(7)). It is cheap to clone, because each connection has
/// its local address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnixName {
    /// A path in the file system.
    Path(Arc<Path>),
    /// A name in Linux's abstract namespace, without its leading zero byte.
    Abstract(Arc<[u8]>),
    /// No name, as most clients have.
    Unnamed,
}

impl Endpoint {
    /// An endpoint in the transport's notation.
    pub fn custom(name: impl Into<Arc<str>>) -> Self {
        Self::Custom(name.into())
    }

    /// The IP address and port, if this is one.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            _ => None,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl From<UnixName> for Endpoint {
    fn from(name: UnixName) -> Self {
        Self::Unix(name)
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::SocketAddr> for Endpoint {
    fn from(addr: std::os::unix::net::SocketAddr) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(name) = std::os::linux::net::SocketAddrExt::as_abstract_name(&addr) {
            return Self::Unix(UnixName::Abstract(name.into()));
        }
        Self::Unix(match addr.as_pathname() {
            Some(path) => UnixName::Path(path.into()),
            None => UnixName::Unnamed,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(UnixName::Path(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(UnixName::Abstract(name)) => write!(f, "unix:@{}", name.escape_ascii()),
            Self::Unix(UnixName::Unnamed) => f.write_str("unix:"),
            Self::Custom(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_displayed_as_tools_write_them() {
        let shown = |e: Endpoint| e.to_string();
        assert_eq!(
            shown(SocketAddr::from(([127, 0, 0, 1], 80)).into()),
            "127.0.0.1:80"
        );
        assert_eq!(
            shown(Endpoint::Unix(UnixName::Path(
                Path::new("/run/a.sock").into()
            ))),
            "unix:/run/a.sock"
        );
        assert_eq!(
            shown(Endpoint::Unix(UnixName::Abstract(b"a\0".as_slice().into()))),
            "unix:@a\\x00"
        );
        assert_eq!(shown(Endpoint::custom("vsock:3:9")), "vsock:3:9");
    }
}
