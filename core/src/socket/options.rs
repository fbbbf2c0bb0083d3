//! Options of TCP sockets, for all transports.
use socket2::{Socket, TcpKeepalive};
use std::{io, time::Duration};

/// The options of a TCP transport's sockets. Connections inherit those of the listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// The maximum number of connections that the kernel queues before they are accepted
    /// (listen(2)), limited by `net.core.somaxconn`. Default: 4096.
    pub backlog: u32,
    /// Sends small writes at once instead of collecting them (TCP_NODELAY, tcp(7)). Default: on.
    pub nodelay: bool,
    /// Refuses IPv4 connections on an IPv6 socket (IPV6_V6ONLY, ipv6(7)). Default: off, so `[::]`
    /// accepts both.
    pub v6_only: bool,
    /// Sends probes on a connection idle for this long, to detect that its peer has gone
    /// (SO_KEEPALIVE with TCP_KEEPIDLE, tcp(7)). Default: off.
    pub keepalive: Option<Duration>,
    /// How long sent data may stay unacknowledged before the kernel closes the connection
    /// (TCP_USER_TIMEOUT, tcp(7)). Only on Linux; elsewhere setting it is an error. Default: the
    /// kernel's, many minutes.
    pub user_timeout: Option<Duration>,
    /// The size of the kernel's receive buffer in bytes (SO_RCVBUF, socket(7)). Default: the
    /// kernel's own tuning.
    pub recv_buffer: Option<usize>,
    /// The size of the kernel's send buffer in bytes (SO_SNDBUF, socket(7)). Default: the kernel's
    /// own tuning.
    pub send_buffer: Option<usize>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            backlog: 4096,
            nodelay: true,
            v6_only: false,
            keepalive: None,
            user_timeout: None,
            recv_buffer: None,
            send_buffer: None,
        }
    }
}

impl SocketOptions {
    /// Sets [`backlog`](Self::backlog).
    #[must_use]
    pub fn with_backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Sets [`nodelay`](Self::nodelay).
    #[must_use]
    pub fn with_nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Sets [`v6_only`](Self::v6_only).
    #[must_use]
    pub fn with_v6_only(mut self, v6_only: bool) -> Self {
        self.v6_only = v6_only;
        self
    }

    /// Sets [`keepalive`](Self::keepalive).
    #[must_use]
    pub fn with_keepalive(mut self, idle: Duration) -> Self {
        self.keepalive = Some(idle);
        self
    }

    /// Sets [`user_timeout`](Self::user_timeout).
    #[must_use]
    pub fn with_user_timeout(mut self, timeout: Duration) -> Self {
        self.user_timeout = Some(timeout);
        self
    }

    /// Sets [`recv_buffer`](Self::recv_buffer).
    #[must_use]
    pub fn with_recv_buffer(mut self, bytes: usize) -> Self {
        self.recv_buffer = Some(bytes);
        self
    }

    /// Sets [`send_buffer`](Self::send_buffer).
    #[must_use]
    pub fn with_send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    pub(super) fn queue_length(&self) -> i32 {
        i32::try_from(self.backlog).unwrap_or(i32::MAX)
    }

    /// On Linux, connections inherit all options from the listening socket, so no system call per
    /// connection is needed.
    pub(super) fn apply_to_listener(&self, socket: &Socket) -> io::Result<()> {
        self.apply_buffers(socket)?;
        if cfg!(target_os = "linux") {
            self.apply(socket)?;
        }
        Ok(())
    }

    pub(super) fn apply_before_connect(&self, socket: &Socket) -> io::Result<()> {
        self.apply_buffers(socket)?;
        self.apply(socket)
    }

    /// The kernel announces the window by them, so they are set before a connection is made.
    fn apply_buffers(&self, socket: &Socket) -> io::Result<()> {
        if let Some(size) = self.recv_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        Ok(())
    }

    /// Whether connections do not inherit the options, so that each one needs
    /// [`apply_to_connection`](Self::apply_to_connection).
    #[must_use]
    pub fn need_applying(&self) -> bool {
        !cfg!(target_os = "linux")
    }

    /// Sets the options of one connection that does not inherit them, or that its runtime has
    /// connected. Buffer sizes are not set: they apply before.
    ///
    /// # Errors
    ///
    /// The peer has disconnected already, or the system lacks an option.
    pub fn apply_to_connection(&self, connection: &Socket) -> io::Result<()> {
        self.apply(connection)
    }

    fn apply(&self, socket: &Socket) -> io::Result<()> {
        socket.set_tcp_nodelay(self.nodelay)?;
        if let Some(idle) = self.keepalive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
        }
        if let Some(timeout) = self.user_timeout {
            #[cfg(target_os = "linux")]
            socket.set_tcp_user_timeout(Some(timeout))?;
            #[cfg(not(target_os = "linux"))]
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("a user timeout ({timeout:?}) exists on Linux only"),
            ));
        }
        Ok(())
    }
}
