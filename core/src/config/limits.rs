//! Limits on what peers may use: connections, head sizes and streams.
use crate::error::{Error, Result, descriptor_limit};

/// Enough for common cookies.
const MIN_HEAD: usize = 8 * 1024;
/// A little less than hyper's buffer for HTTP/1 of 417,792 bytes: a greater limit would never be
/// reached.
const MAX_HEAD: usize = 400 * 1024;

/// How much a peer may use. Each limit is for the whole server, unless its name says otherwise.
///
/// Of several limits on connections, the one reached first applies.
///
/// There are three presets: [`default`](Self::default) suits most servers, [`strict`](Self::strict)
/// suits a server on the internet without a proxy, [`disabled`](Self::disabled) suits a server
/// behind a proxy that enforces the limits.
///
/// ```
/// # use anyport_core::Limits;
/// let limits = Limits::default().with_connections(500).with_connections_per_ip(20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Open connections, upgraded ones included. Further clients wait in the kernel's queue.
    /// Default: 10,000, or 80 % of the process's descriptors (RLIMIT_NOFILE) if that is less; the
    /// app has the remaining ones.
    pub connections: usize,
    /// Open connections on one worker. Further clients wait for the same worker. Default: no
    /// separate limit.
    pub connections_per_worker: usize,
    /// Open connections from one IP address, or from one /64 of IPv6, which one client usually has.
    /// A further connection is closed as soon as it is accepted. If a transport learns in its
    /// handshake that the peer is a proxy, the client's address counts. Default: no limit, because
    /// a proxy is one address. Strict: 100.
    pub connections_per_ip: usize,
    /// Bytes in the head of an HTTP/1 request, or in the header list of an HTTP/2 request. A larger
    /// head gets the response 431. Default: 64 KiB (Envoy's is 60 KiB); strict: 16 KiB; disabled:
    /// 400 KiB. Minimum: 8 KiB, which common cookies need. Maximum: 400 KiB, the size of the buffer
    /// for HTTP/1.
    pub head_bytes: usize,
    /// Concurrent requests on one HTTP/2 connection (RFC 9113 5.1.2). Default: 100, the value of
    /// Envoy for servers at the edge and the minimum that the RFC recommends.
    pub h2_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let descriptors = descriptor_limit().and_then(|n| usize::try_from(n).ok());
        Self {
            connections: descriptors.map_or(10_000, |n| (n / 10 * 8).clamp(1, 10_000)),
            connections_per_worker: usize::MAX,
            connections_per_ip: usize::MAX,
            head_bytes: 64 * 1024,
            h2_streams: 100,
        }
    }
}

impl Limits {
    /// Limits for a server on the internet without a proxy.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            connections_per_ip: 100,
            head_bytes: 16 * 1024,
            ..Self::default()
        }
    }

    /// Practically no limits: for a server behind a proxy that enforces them.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            connections: usize::MAX,
            connections_per_worker: usize::MAX,
            connections_per_ip: usize::MAX,
            head_bytes: MAX_HEAD,
            h2_streams: u32::MAX,
        }
    }

    /// Sets [`connections`](Self::connections).
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets [`connections_per_worker`](Self::connections_per_worker).
    #[must_use]
    pub fn with_connections_per_worker(mut self, connections: usize) -> Self {
        self.connections_per_worker = connections;
        self
    }

    /// Sets [`connections_per_ip`](Self::connections_per_ip).
    #[must_use]
    pub fn with_connections_per_ip(mut self, connections: usize) -> Self {
        self.connections_per_ip = connections;
        self
    }

    /// Sets [`head_bytes`](Self::head_bytes).
    #[must_use]
    pub fn with_head_bytes(mut self, bytes: usize) -> Self {
        self.head_bytes = bytes;
        self
    }

    /// Sets [`h2_streams`](Self::h2_streams).
    #[must_use]
    pub fn with_h2_streams(mut self, streams: u32) -> Self {
        self.h2_streams = streams;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (name, limit) in [
            ("connections", self.connections),
            ("connections_per_worker", self.connections_per_worker),
            ("connections_per_ip", self.connections_per_ip),
        ] {
            if limit == 0 {
                return Err(Error::config(format!(
                    "Limits::{name} is 0, so no client could connect: allow at least 1"
                )));
            }
        }
        if self.head_bytes < MIN_HEAD {
            return Err(Error::config(format!(
                "Limits::head_bytes is {}, too little for common requests: allow at least {MIN_HEAD}",
                self.head_bytes
            )));
        }
        if self.head_bytes > MAX_HEAD {
            return Err(Error::config(format!(
                "Limits::head_bytes is {}, more than the buffer for a head: allow at most {MAX_HEAD}",
                self.head_bytes
            )));
        }
        if self.h2_streams == 0 {
            return Err(Error::config(
                "Limits::h2_streams is 0, so no HTTP/2 request could be made: allow at least 1, or serve HTTP/1 only",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_can_be_lowered_below_the_others() {
        for preset in [Limits::default(), Limits::strict(), Limits::disabled()] {
            preset.check().unwrap();
            preset.with_connections(1).check().unwrap();
            preset.with_connections_per_worker(1).check().unwrap();
            preset.with_connections_per_ip(1).check().unwrap();
        }
    }

    #[test]
    fn head_limit_has_a_minimum_and_a_maximum() {
        let check = |bytes| Limits::default().with_head_bytes(bytes).check();
        for bytes in [8 * 1024, 400 * 1024] {
            check(bytes).unwrap();
        }
        assert!(
            check(8 * 1024 - 1)
                .unwrap_err()
                .to_string()
                .contains("at least 8192")
        );
        assert!(
            check(400 * 1024 + 1)
                .unwrap_err()
                .to_string()
                .contains("at most 409600")
        );
    }
}
