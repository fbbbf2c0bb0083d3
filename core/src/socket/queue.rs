//! The accept queue of a listening TCP socket: who shares it, and how a drain empties it.
use socket2::SockRef;
use std::{net::SocketAddr, time::Duration};

/// How long the last ACK of a handshake may take that the kernel has answered already: about the
/// longest round trip on Earth. Its client believes itself connected, and would be reset.
const ARRIVING: Duration = Duration::from_millis(250);

/// As many clients as were queued at most when a worker stopped that can't keep new ones out
/// (Linux's default for `net.core.somaxconn`). Those behind them are somebody else's, and there may
/// be no end of them.
pub const LONGEST_QUEUE: usize = 4096;

/// Who else accepts from the kernel's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Nobody: what's done to the socket ends with this listener.
    Us,
    /// It has duplicates: with other workers, or in other processes. What's done to it is done to
    /// them.
    Others,
}

/// What's known about the kernel's queue of a listening TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptQueue {
    owners: Owners,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The server drains: what's queued is accepted still, at most so many.
    Stopped {
        left: usize,
    },
}

impl AcceptQueue {
    /// Of a socket that's open to clients.
    #[must_use]
    pub fn new(owners: Owners) -> Self {
        Self {
            owners,
            state: State::Open,
        }
    }

    /// Keeps new clients out, if that harms no other owner. How long those may still arrive who
    /// have been let in already.
    pub fn stop(&mut self, socket: &SockRef<'_>) -> Duration {
        match self.owners {
            Owners::Us => {
                self.state = State::Stopped { left: usize::MAX };
                keep_out(socket);
                ARRIVING
            }
            // A filter would stay with the socket, and shut the others out for good. Whoever is
            // under way is theirs.
            Owners::Others => {
                self.state = State::Stopped {
                    left: LONGEST_QUEUE,
                };
                Duration::ZERO
            }
        }
    }

    /// Keeps nobody out: at most so many are accepted still, as long as there are any.
    #[cfg(unix)]
    pub(super) fn stop_after(&mut self, left: usize) {
        self.state = State::Stopped { left };
    }

    /// Whether the server drains: the kernel itself is asked for the next client then, since what a
    /// reactor knows is a little old.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state != State::Open
    }

    /// Whether there's nobody left in it for this listener.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Stopped { left: 0 }
    }

    /// One has been accepted.
    pub fn count(&mut self) {
        if let State::Stopped { left } = &mut self.state {
            *left = left.saturating_sub(1);
        }
    }

    /// Nobody's in it at the moment. Whether to wait for more: someone's handshake may be at its
    /// end; but what others empty too, is left to them.
    #[must_use]
    pub fn awaits_more(&mut self) -> bool {
        if self.is_stopped() && self.owners == Owners::Others {
            self.state = State::Stopped { left: 0 };
        }
        !self.is_over()
    }
}

/// Drops every SYN to the listening socket (a socket filter, socket(7)): no further handshake
/// begins, so none is cut off when it closes. A client that's kept out tries again, and is refused
/// then.
///
/// Nothing but the SYN, for two reasons: the last ACK of a handshake that has begun has to come
/// through (its client believes itself connected), and a connection made from now on inherits the
/// filter.
#[cfg(target_os = "linux")]
fn keep_out(socket: &SockRef<'_>) {
    use socket2::SockFilter;
    const SYN: u32 = 0x02;
    const SYN_OR_ACK: u32 = 0x12;
    // A TCP socket's filter sees the segment from its header on, whose flags are byte 13 (RFC 9293
    // 3.1).
    let no_syn = [
        // BPF_LD | BPF_B | BPF_ABS
        SockFilter::new(0x30, 0, 0, 13),
        // BPF_ALU | BPF_AND | BPF_K
        SockFilter::new(0x54, 0, 0, SYN_OR_ACK),
        // BPF_JMP | BPF_JEQ | BPF_K: on to the next, or over it.
        SockFilter::new(0x15, 0, 1, SYN),
        // BPF_RET | BPF_K: pass no byte; pass all.
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    // Without it, the queue is still emptied; only what arrives in the last microseconds is lost.
    let _ = socket.attach_filter(&no_syn);
}

#[cfg(not(target_os = "linux"))]
fn keep_out(_: &SockRef<'_>) {}

/// An IPv4 peer of a socket that takes both shows as `::ffff:1.2.3.4`; apps want to see `1.2.3.4`.
/// A true IPv6 peer keeps its scope, without which a link-local address means nothing.
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
    fn a_link_local_peer_keeps_its_scope_and_a_mapped_one_is_shown_as_it_is() {
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
