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
/// | `"host:3000"` | the first address of that name that can be bound |
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
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
    let host = host(name).map_err(invalid)?;
    let found = name.to_socket_addrs();
    let found = found.map_err(|e| {
        io::Error::new(
            e.kind(),
            format!("cannot resolve `{host}` ({e}; check the name, or pass an IP address)"),
        )
    })?;
    Ok(found.collect())
}

/// The host of an address with a host and a port. Otherwise what is wrong with the address, and
/// the address that was probably meant.
fn host(name: &str) -> Result<&str, String> {
    let trimmed = name.trim();
    if trimmed.is_empty() {
        return Err(format!("the address is empty ({})", write_one("3000")));
    }
    if trimmed != name {
        return Err(format!("there are spaces around it (write {trimmed})"));
    }
    if let Some((scheme, rest)) = name.split_once("://") {
        return Err(in_url(scheme, rest));
    }
    if name.starts_with(['/', '.']) || name.starts_with("unix:") {
        let path = name.trim_start_matches("unix:");
        return Err(format!(
            "a Unix socket is not a TCP address (`Unix::bind(\"{path}\")` listens on one)"
        ));
    }
    if is_port(name) {
        return Err(format!("the host is missing ({})", write_one(name)));
    }
    if name.parse::<Ipv6Addr>().is_ok() {
        // `::1:3000` is an address, too, but is rarely meant to be one.
        let (ip, port) = match name.rsplit_once(':') {
            Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() && is_port(port) => (host, port),
            _ => (name, "3000"),
        };
        return Err(format!(
            "an IPv6 address needs brackets and a port (write [{ip}]:{port})"
        ));
    }
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (name, ""),
    };
    if let Some((port, _)) = port.split_once('/')
        && is_port(port)
    {
        return Err(format!("an address has no path (write {host}:{port})"));
    }
    let what = match host {
        "" | "*" | "+" if port.is_empty() => {
            format!("the host and the port are missing ({})", write_one("3000"))
        }
        "" if is_port(port) => format!("the host is missing ({})", write_one(port)),
        "*" | "+" if is_port(port) => format!("`{host}` is not a host ({})", write_one(port)),
        _ if port.is_empty() => format!("the port is missing (write {host}:3000)"),
        _ if !is_port(port) => {
            format!("`{port}` is not a port from 0 to 65535 (write {host}:3000)")
        }
        _ if host.contains(':') && !host.starts_with('[') => {
            format!("an IPv6 address needs brackets (write [{host}]:{port})")
        }
        _ => return Ok(host),
    };
    Err(what)
}

fn is_port(text: &str) -> bool {
    // A number may have a plus sign, a port may not.
    !text.starts_with('+') && text.parse::<u16>().is_ok()
}

/// Advice where the host is missing.
fn write_one(port: &str) -> String {
    format!(
        "write [::]:{port} for every interface, 0.0.0.0:{port} for every interface by IPv4, or \
         127.0.0.1:{port} for this machine only"
    )
}

/// What is wrong with a URL as an address.
fn in_url(scheme: &str, rest: &str) -> String {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| is_port(port));
    let is_encrypted = matches!(scheme, "https" | "wss");
    let port = match (has_port, is_encrypted) {
        (true, _) => "",
        (false, true) => ":443",
        (false, false) => ":80",
    };
    let tls = if is_encrypted {
        "; `.tls(config)` on the transport serves TLS"
    } else {
        ""
    };
    format!("an address is not a URL (write {authority}{port}{tls})")
}

impl fmt::Display for BindAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Port(port) => write!(f, "[::]:{port}"),
            Form::Addr(addr) => addr.fmt(f),
            // An error that names this address has one line, and shows its spaces.
            Form::Name(name) if name.is_empty() || name.contains(char::is_whitespace) => {
                write!(f, "{name:?}")
            }
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
    fn invalid_address_is_an_error_with_the_address_that_was_meant() {
        let missing = "(write [::]:3000 for every interface, 0.0.0.0:3000 for every interface by \
                       IPv4, or 127.0.0.1:3000 for this machine only)";
        for (name, what, advice) in [
            ("3000", "the host is missing", missing),
            (":3000", "the host is missing", missing),
            ("*:3000", "`*` is not a host", missing),
            ("+:3000", "`+` is not a host", missing),
            ("*", "the host and the port are missing", missing),
            ("", "the address is empty", missing),
            (
                "127.0.0.1:3000\n",
                "there are spaces around it",
                "(write 127.0.0.1:3000)",
            ),
            (
                "http://127.0.0.1:3000",
                "an address is not a URL",
                "(write 127.0.0.1:3000)",
            ),
            (
                "tcp://[::]:3000/path",
                "an address is not a URL",
                "(write [::]:3000)",
            ),
            (
                "http://localhost",
                "an address is not a URL",
                "(write localhost:80)",
            ),
            (
                "https://localhost",
                "an address is not a URL",
                "(write localhost:443; `.tls(config)` on the transport serves TLS)",
            ),
            (
                "localhost:3000/path",
                "an address has no path",
                "(write localhost:3000)",
            ),
            (
                "unix:/run/app.sock",
                "a Unix socket is not a TCP address",
                "(`Unix::bind(\"/run/app.sock\")` listens on one)",
            ),
            (
                "./app.sock",
                "a Unix socket is not a TCP address",
                "(`Unix::bind(\"./app.sock\")` listens on one)",
            ),
            ("localhost", "the port is missing", "(write localhost:3000)"),
            (
                "127.0.0.1:",
                "the port is missing",
                "(write 127.0.0.1:3000)",
            ),
            ("[::1]", "the port is missing", "(write [::1]:3000)"),
            (
                "localhost:http",
                "`http` is not a port from 0 to 65535",
                "(write localhost:3000)",
            ),
            (
                "localhost:65536",
                "`65536` is not a port from 0 to 65535",
                "(write localhost:3000)",
            ),
            (
                "::1",
                "an IPv6 address needs brackets and a port",
                "(write [::1]:3000)",
            ),
            (
                "::1:80",
                "an IPv6 address needs brackets and a port",
                "(write [::1]:80)",
            ),
            (
                "fe80::1%eth0:80",
                "an IPv6 address needs brackets",
                "(write [fe80::1%eth0]:80)",
            ),
        ] {
            let error = BindAddr::from(name).resolve().unwrap_err();
            assert_eq!(error.to_string(), format!("{what} {advice}"), "{name:?}");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
        let unknown = BindAddr::from("no-such-name.invalid:80").resolve();
        let unknown = unknown.unwrap_err().to_string();
        assert!(
            unknown.starts_with("cannot resolve `no-such-name.invalid` ("),
            "{unknown}"
        );
    }

    #[test]
    fn an_address_is_shown_on_one_line() {
        assert_eq!(BindAddr::from("a:1\n").to_string(), r#""a:1\n""#);
        assert_eq!(BindAddr::from("").to_string(), r#""""#);
        assert_eq!(BindAddr::from("*:1").to_string(), "*:1");
    }
}
