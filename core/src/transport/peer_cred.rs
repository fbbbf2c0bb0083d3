//! The credentials of a peer on the same machine, as the kernel reports them.

/// The process at the other end of a local connection, as the kernel recorded it at connect
/// (SO_PEERCRED, unix(7)).
///
/// User and group cannot be forged, so an app may authorize by them. Use the process number only
/// for logs: the process may have ended, and its number may belong to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCred {
    /// The process. `None` if the system does not report it, or if the peer is in another PID
    /// namespace.
    pub pid: Option<u32>,
    /// Its effective user. 65534 (`nobody`) also stands for a user outside of this user namespace.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

impl PeerCred {
    /// Credentials without a process number.
    #[must_use]
    pub fn new(uid: u32, gid: u32) -> Self {
        Self {
            pid: None,
            uid,
            gid,
        }
    }

    /// Converts the result of SO_PEERCRED. Process 0 is one outside of this PID namespace.
    #[must_use]
    pub fn from_kernel(pid: Option<i32>, uid: u32, gid: u32) -> Self {
        let pid = pid
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid > 0);
        Self { pid, uid, gid }
    }

    /// Sets the process number.
    #[must_use]
    pub fn with_pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }
}
