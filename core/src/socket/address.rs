//! The forms in which users write addresses.
use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
};

/// An address to listen on: a port, an IP address with a port, or a host name with a port.
///
/// | from | listens on |
/// |---|---|
/// | `3000` | every interface, IPv6 and IPv4 (only IPv4 on a machine without IPv6) |
/// | `SocketAddr` | that address |
/// | `(IpAddr, u16)`, `([u8; 4], u16)` | that address |
/// | `"127.0.0.1:3000"`, `"[::1]:3000"` | that address |
/// | `"host:3000"`, `("host", 3000)` | the first address of that name that can be bound |
///
/// Port 0 is any free port; [`Handle::endpoints`](crate::Handle::endpoints) returns the chosen one.
/// A name is resolved when the server starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BindAddr(Form);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    Port(u16),
    Addr(SocketAddr),
    Name(String),
}

impl BindAddr {
    /// The addresses to try, in order.
    pub(super) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match &self.0 {
            Form::Port(port) => Ok(vec![
                (Ipv6Addr::UNSPECIFIED, *port).into(),
                (Ipv4Addr::UNSPECIFIED, *port).into(),
            ]),
            Form::Addr(addr) => Ok(vec![*addr]),
            Form::Name(name) => resolve(name),
        }
    }

    /// Whether this is a bare port: IPv4 is tried only if IPv6 is unavailable.
    pub(super) fn is_port(&self) -> bool {
        matches!(self.0, Form::Port(_))
    }
}

fn resolve(name: &str) -> io::Result<Vec<SocketAddr>> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let form = "write host:port, such as 127.0.0.1:3000, [::1]:3000 or localhost:3000";
    let Some((host, port)) = name.rsplit_once(':') else {
        return Err(invalid(format!("the port is missing ({form})")));
    };
    let port: u16 = port
        .parse()
        .map_err(|_| invalid(format!("`{port}` is not a port from 0 to 65535 ({form})")))?;
    if host.is_empty() {
        return Err(invalid(format!(
            "the host is missing (pass the number {port} for every interface, or {form})"
        )));
    }
    if host.contains(':') && !host.starts_with('[') {
        return Err(invalid(format!(
            "an IPv6 address needs brackets: [{host}]:{port}"
        )));
    }
    let found = name.to_socket_addrs();
    let found = found.map_err(|e| {
        io::Error::new(
            e.kind(),
            format!("cannot resolve `{host}` ({e}; check the name, or pass an IP address)"),
        )
    })?;
    Ok(found.collect())
}

impl fmt::Display for BindAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Port(port) => write!(f, "[::]:{port}"),
            Form::Addr(addr) => addr.fmt(f),
            Form::Name(name) => f.write_str(name),
        }
    }
}

impl From<u16> for BindAddr {
    fn from(port: u16) -> Self {
        Self(Form::Port(port))
    }
}

impl From<SocketAddr> for BindAddr {
    fn from(addr: SocketAddr) -> Self {
        Self(Form::Addr(addr))
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for BindAddr {
    fn from((ip, port): (I, u16)) -> Self {
        Self(Form::Addr(SocketAddr::new(ip.into(), port)))
    }
}

impl From<&str> for BindAddr {
    fn from(name: &str) -> Self {
        Self::from(name.to_owned())
    }
}

impl From<String> for BindAddr {
    fn from(name: String) -> Self {
        Self(match name.parse() {
            Ok(addr) => Form::Addr(addr),
            Err(_) => Form::Name(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_address_is_accepted() {
        let addrs = |a: BindAddr| a.resolve().unwrap();
        let one = [SocketAddr::from(([127, 0, 0, 1], 80))];
        assert_eq!(addrs("127.0.0.1:80".into()), one);
        assert_eq!(addrs(one[0].into()), one);
        assert_eq!(addrs((Ipv4Addr::LOCALHOST, 80).into()), one);
        assert_eq!(addrs(([127, 0, 0, 1], 80).into()), one);
        assert_eq!(addrs("[::1]:80".into()), [(Ipv6Addr::LOCALHOST, 80).into()]);
        assert!(
            addrs("localhost:80".into())
                .iter()
                .all(|a| a.ip().is_loopback())
        );
        assert_eq!(addrs(80.into()).len(), 2);
    }

    #[test]
    fn invalid_address_is_an_error_with_advice() {
        let error = |name: &str| BindAddr::from(name).resolve().unwrap_err().to_string();
        assert!(
            error("localhost").contains("the port is missing"),
            "{}",
            error("localhost")
        );
        assert!(error("localhost:http").contains("`http` is not a port"));
        assert!(error("localhost:65536").contains("`65536` is not a port"));
        assert!(error(":80").contains("the host is missing"));
        assert!(error("::1:80").contains("[::1]:80"));
        assert!(error("no-such-name.invalid:80").contains("cannot resolve `no-such-name.invalid`"));
    }
}
