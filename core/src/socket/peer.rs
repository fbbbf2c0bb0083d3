//! The state of a peer according to the kernel, without a read.
use crate::transport::PeerState;
#[cfg(target_os = "linux")]
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::ioctl_fionread,
};
use rustix::{
    io::Errno,
    net::{SendAncillaryBuffer, SendFlags, sendmsg, sockopt::set_socket_linger},
};
use std::{
    io::{self, IoSlice},
    os::fd::AsFd,
    task::Poll,
    time::Duration,
};

/// The state of a connected socket's peer, for
/// [`Connection::peer_state`](crate::Connection::peer_state).
///
/// It calls poll(2) without waiting. Unread bytes do not hide a reset from it, as they do from a
/// runtime that waits for readability. On systems other than Linux it returns
/// [`PeerState::Unknown`].
pub fn peer_state(socket: impl AsFd) -> PeerState {
    #[cfg(target_os = "linux")]
    {
        const NOW: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let fd = socket.as_fd();
        let mut fds = [PollFd::new(&fd, PollFlags::RDHUP)];
        if poll(&mut fds, Some(&NOW)).is_err() {
            return PeerState::Unknown;
        }
        let events = fds[0].revents();
        if events.intersects(PollFlags::ERR | PollFlags::HUP) {
            PeerState::Closed
        } else if events.contains(PollFlags::RDHUP) && ioctl_fionread(fd) == Ok(0) {
            PeerState::HalfClosed
        } else {
            PeerState::Open
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        PeerState::Unknown
    }
}

/// Sends as much as the kernel accepts at once, for
/// [`Connection::poll_retry_write`](crate::Connection::poll_retry_write). Pending if the kernel
/// accepts nothing.
///
/// # Errors
///
/// The errors are those of send(2).
pub fn try_send(socket: impl AsFd, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
    let bufs = &bufs[..bufs.len().min(MAX_SLICES)];
    if bufs.iter().all(|buf| buf.is_empty()) {
        return Poll::Pending;
    }
    match sendmsg(socket, bufs, &mut SendAncillaryBuffer::default(), FLAGS) {
        Err(Errno::WOULDBLOCK | Errno::INTR) => Poll::Pending,
        sent => Poll::Ready(Ok(sent?)),
    }
}

/// Makes the kernel reset a TCP connection when its descriptor is closed, for
/// [`Connection::reset`](crate::Connection::reset). Unsent bytes are discarded (SO_LINGER with a
/// zero timeout, socket(7)). A Unix socket has no reset: its peer reads the end of the stream.
pub fn reset_at_close(socket: impl AsFd) {
    // It fails only on a descriptor that is no socket.
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}

/// The kernel refuses more slices (UIO_MAXIOV).
const MAX_SLICES: usize = 1024;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::{
        io::{Read, Write},
        net::{Shutdown, TcpListener, TcpStream},
        os::unix::net::UnixStream,
        time::Instant,
    };

    fn tcp() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn half_closed_peer_is_open_until_its_bytes_have_been_read() {
        let (mut client, mut server) = tcp();
        assert_eq!(peer_state(&server), PeerState::Open);
        client.write_all(b"some").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut some = [0; 4];
        server.read_exact(&mut some).unwrap();
        // The kernel reports the half-close after a read has returned it.
        assert_eq!(server.read(&mut some).unwrap(), 0);
        assert_eq!(peer_state(&server), PeerState::HalfClosed);
    }

    #[test]
    fn reset_behind_unread_bytes_is_detected() {
        let (mut client, server) = tcp();
        client.write_all(b"some").unwrap();
        SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(client);
        let by = Instant::now() + Duration::from_secs(10);
        while peer_state(&server) != PeerState::Closed {
            assert!(Instant::now() < by, "{:?}", peer_state(&server));
            std::thread::yield_now();
        }
    }

    #[test]
    fn unix_socket_distinguishes_close_and_half_close() {
        let (client, server) = UnixStream::pair().unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer_state(&server), PeerState::HalfClosed);
        drop(client);
        assert_eq!(peer_state(&server), PeerState::Closed);
    }
}
