//! The host and the port to connect to, checked before anything is looked up.
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// A host and a port.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

#[derive(Clone, Debug)]
pub(crate) enum Host {
    /// An address: nothing is looked up.
    Address(IpAddr),
    /// `localhost` and the names below it are this machine (RFC 6761, section 6.3).
    Localhost(Arc<str>),
    /// A name for the resolver.
    Name(Arc<str>),
}

/// The maximum length of a name, as text (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

impl Host {
    /// Parses a name or an address. An IPv6 address may have brackets.
    ///
    /// # Errors
    ///
    /// The reason why `host` is neither.
    pub(crate) fn parse(host: &str) -> Result<Self, String> {
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let address = bracketed.unwrap_or(host);
        if let Ok(address) = address.parse::<Ipv6Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if address.contains('%') && address.contains(':') {
            return Err("an address with a zone is not supported".into());
        }
        if bracketed.is_some() || host.contains(':') {
            return Err("not an IPv6 address; a port is a separate argument".into());
        }
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        check(host)?;
        let host = &*host.to_ascii_lowercase();
        let without_root = host.strip_suffix('.').unwrap_or(host);
        let last = without_root.rsplit('.').next().unwrap_or_default();
        if last == "localhost" {
            return Ok(Self::Localhost(host.into()));
        }
        // getaddrinfo(3) takes `127.1` and `1` as addresses. The last label of a DNS name is never
        // a number.
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("not an IPv4 address, and the last label of a name is not a number".into());
        }
        Ok(Self::Name(host.into()))
    }

    /// The name for TLS and the like: without the dot of the root (RFC 6066, section 3).
    pub(crate) fn server_name(&self) -> Option<&str> {
        match self {
            Self::Address(_) => None,
            Self::Localhost(name) | Self::Name(name) => {
                Some(name.strip_suffix('.').unwrap_or(name))
            }
        }
    }
}

fn check(host: &str) -> Result<(), String> {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return Err("empty".into());
    }
    if !name.is_ascii() {
        return Err("not ASCII; convert it to its `xn--` form (RFC 5891)".into());
    }
    if name.len() > MAX_NAME {
        return Err(format!("more than {MAX_NAME} characters"));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err("a label is empty".into());
        }
        if label.len() > MAX_LABEL {
            return Err(format!("a label has more than {MAX_LABEL} characters"));
        }
        // The RFCs allow no underscore in the name of a host, but many names in use have one.
        let is_valid = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if let Some(c) = label.chars().find(|c| !is_valid(c)) {
            return Err(format!("{c:?} is not allowed in a name"));
        }
    }
    Ok(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Localhost(name) | Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_need_no_lookup() {
        for (host, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[::1]", "::1"),
        ] {
            let parsed = Host::parse(host).unwrap();
            assert!(
                matches!(parsed, Host::Address(address) if address.to_string() == expected),
                "{host}"
            );
        }
        for host in ["localhost", "LocalHost.", "api.localhost"] {
            assert!(
                matches!(Host::parse(host), Ok(Host::Localhost(_))),
                "{host}"
            );
        }
    }

    #[test]
    fn server_name_has_no_dot_of_the_root() {
        let name = Host::parse("example.com.").unwrap();
        assert_eq!(name.server_name(), Some("example.com"));
        assert_eq!(Host::parse("192.0.2.1").unwrap().server_name(), None);
    }

    #[test]
    fn invalid_names_are_errors_that_say_why() {
        let long = format!("{}.com", "a".repeat(64));
        let longer = "abc.".repeat(70) + "com";
        for (host, reason) in [
            ("", "empty"),
            (".", "empty"),
            ("a..b", "a label is empty"),
            (".example", "a label is empty"),
            ("exa mple", "' ' is not allowed in a name"),
            ("example/com", "'/' is not allowed in a name"),
            ("user@example", "'@' is not allowed in a name"),
            ("nul\0", "'\\0' is not allowed in a name"),
            (
                "bücher.example",
                "not ASCII; convert it to its `xn--` form (RFC 5891)",
            ),
            (
                "example:443",
                "not an IPv6 address; a port is a separate argument",
            ),
            (
                "[example]",
                "not an IPv6 address; a port is a separate argument",
            ),
            ("fe80::1%eth0", "an address with a zone is not supported"),
            (
                "127.1",
                "not an IPv4 address, and the last label of a name is not a number",
            ),
            (
                "256.0.0.1",
                "not an IPv4 address, and the last label of a name is not a number",
            ),
            (&long, "a label has more than 63 characters"),
            (&longer, "more than 253 characters"),
        ] {
            assert_eq!(Host::parse(host).unwrap_err(), reason, "{host}");
        }
    }
}
