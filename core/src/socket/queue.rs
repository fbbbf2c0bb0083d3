//! The accept queue of a listening TCP socket: who shares it, and how a drain empties it.
use socket2::SockRef;
use std::{net::SocketAddr, time::Duration};

/// How long a client may take to send the last ACK of a handshake after the kernel's SYN-ACK: about
/// the longest round trip on Earth. Such a client considers itself connected and would be reset.
const MAX_ROUND_TRIP: Duration = Duration::from_millis(250);

/// The maximum number of queued clients that a stopped worker accepts if it cannot refuse new ones
/// (Linux's default of `net.core.somaxconn`). Later clients are left to the socket's other owners;
/// their number is unbounded.
pub const MAX_BACKLOG: usize = 4096;

/// Whether other workers or processes accept from the same kernel socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This listener is the only owner: changes of the socket end with it.
    Exclusive,
    /// The socket has duplicates in other workers or processes. Changes of the socket affect them.
    Shared,
}

/// The state of the kernel's queue of a listening TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptQueue {
    ownership: Ownership,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The server is draining: at most `remaining` queued clients are accepted.
    Stopped {
        remaining: usize,
    },
}

impl AcceptQueue {
    /// The queue of a socket that is open to clients.
    #[must_use]
    pub fn new(ownership: Ownership) -> Self {
        Self {
            ownership,
            state: State::Open,
        }
    }

    /// Refuses new clients, if there is no other owner. Returns how long clients in the middle of
    /// the TCP handshake may still arrive.
    pub fn stop(&mut self, socket: &SockRef<'_>) -> Duration {
        match self.ownership {
            Ownership::Exclusive => {
                self.state = State::Stopped {
                    remaining: usize::MAX,
                };
                drop_syns(socket);
                MAX_ROUND_TRIP
            }
            // The filter would stay on the socket and refuse the other owners' clients. Clients in
            // the middle of the handshake are left to the other owners.
            Ownership::Shared => {
                self.state = State::Stopped {
                    remaining: MAX_BACKLOG,
                };
                Duration::ZERO
            }
        }
    }

    /// Accepts at most `remaining` more clients and refuses none.
    #[cfg(unix)]
    pub(super) fn stop_after(&mut self, remaining: usize) {
        self.state = State::Stopped { remaining };
    }

    /// Whether the server is draining. Then the listener calls accept without waiting for
    /// readiness, which may be out of date.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state != State::Open
    }

    /// Whether no client remains for this listener.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.state == State::Stopped { remaining: 0 }
    }

    /// Records an accepted client.
    pub fn record_accept(&mut self) {
        if let State::Stopped { remaining } = &mut self.state {
            *remaining = remaining.saturating_sub(1);
        }
    }

    /// Called when the queue is empty: whether to wait for more clients. A drained socket with
    /// other owners is left to them; otherwise a client may still complete its handshake.
    #[must_use]
    pub fn should_wait(&mut self) -> bool {
        if self.is_stopped() && self.ownership == Ownership::Shared {
            self.state = State::Stopped { remaining: 0 };
        }
        !self.is_drained()
    }
}

/// Drops every SYN to the listening socket (a socket filter, socket(7)). No further handshake
/// begins, so none is cut off by the close. A refused client retries and then gets a reset.
///
/// Only SYNs are dropped. The last ACK of a handshake must arrive, because its client considers
/// itself connected. And new connections inherit the filter.
#[cfg(target_os = "linux")]
fn drop_syns(socket: &SockRef<'_>) {
    use socket2::SockFilter;
    const SYN: u32 = 0x02;
    const SYN_OR_ACK: u32 = 0x12;
    // A TCP socket's filter sees the segment from its header on; its flags are byte 13 (RFC 9293
    // 3.1).
    let no_syn = [
        // BPF_LD | BPF_B | BPF_ABS
        SockFilter::new(0x30, 0, 0, 13),
        // BPF_ALU | BPF_AND | BPF_K
        SockFilter::new(0x54, 0, 0, SYN_OR_ACK),
        // BPF_JMP | BPF_JEQ | BPF_K: the next instruction, or skip it.
        SockFilter::new(0x15, 0, 1, SYN),
        // BPF_RET | BPF_K: drop, then accept.
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    // On failure the queue is still drained; only clients of the last microseconds are lost.
    let _ = socket.attach_filter(&no_syn);
}

#[cfg(not(target_os = "linux"))]
fn drop_syns(_: &SockRef<'_>) {}

/// Converts `::ffff:1.2.3.4`, an IPv4 peer of a dual-stack socket, to `1.2.3.4`. A real IPv6 peer
/// keeps its scope, which a link-local address needs.
#[must_use]
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip if ip == addr.ip() => addr,
        ip => SocketAddr::new(ip, addr.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};

    #[test]
    fn mapped_peer_becomes_ipv4_and_link_local_peer_keeps_its_scope() {
        let link_local = SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 5, 3).into();
        assert_eq!(canonical(link_local), link_local);
        let mapped = (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 80).into();
        assert_eq!(canonical(mapped), (Ipv4Addr::LOCALHOST, 80).into());
        for same in [
            (Ipv6Addr::LOCALHOST, 80).into(),
            (Ipv4Addr::LOCALHOST, 80).into(),
        ] {
            assert_eq!(canonical(same), same);
        }
    }
}
