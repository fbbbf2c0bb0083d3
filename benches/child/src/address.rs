//! Where a server of the bench listens: on this machine only, since a load test of another is an
//! attack.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// A TCP address of this machine, one with TLS written `tls:IP:PORT`, or a Unix socket's path
/// written `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A loopback address and a port; port 0 is any free one.
    Tcp(SocketAddr),
    /// The same for TLS.
    Tls(SocketAddr),
    /// The path of a socket's file.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("a Unix socket needs a path: unix:PATH".to_owned()),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let (text, of): (_, fn(SocketAddr) -> Self) = match text.strip_prefix("tls:") {
            Some(text) => (text, Self::Tls),
            None => (text, Self::Tcp),
        };
        let address: SocketAddr = text.parse().map_err(|_| {
            format!(
                "`{text}` is no address; use IP:PORT, such as 127.0.0.1:0, tls:IP:PORT or unix:PATH"
            )
        })?;
        if !address.ip().is_loopback() {
            return Err(format!(
                "{address} can be reached from other machines, which the bench does not allow; \
                listen on 127.0.0.1 or [::1]"
            ));
        }
        Ok(of(address))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Tls(address) => write!(f, "tls:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_are_parsed_as_they_are_displayed() {
        for text in [
            "127.1.2.3:80",
            "[::1]:3000",
            "tls:127.0.0.1:0",
            "unix:/tmp/a.sock",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn parse_errors_show_the_syntax() {
        for text in ["", "localhost:80", "127.0.0.1", "tls:x:1", "unix:"] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains("unix:PATH"), "{error}");
        }
    }

    #[test]
    fn addresses_of_other_machines_are_refused() {
        for text in ["0.0.0.0:80", "192.168.0.1:80", "[::]:80", "tls:1.1.1.1:443"] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains("listen on 127.0.0.1"), "{error}");
        }
    }
}
