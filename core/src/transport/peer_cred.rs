//! The credentials of a peer on the same machine, as the kernel reports them.

/// The process at the other end of a local connection, as the kernel saw it when it connected
/// (SO_PEERCRED, unix(7)).
///
/// User and group can't be forged: an app may let them decide who's allowed to do what. The process
/// number may: by the time it's looked up, that process can be gone and its number somebody else's,
/// so it's for logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCred {
    /// The process; none where the system doesn't tell, or where the peer's number means nothing
    /// here (another PID namespace).
    pub pid: Option<u32>,
    /// Its effective user. 65534 (`nobody`) also stands for a user that this user namespace doesn't
    /// know.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

impl PeerCred {
    /// A process of this user and this group.
    #[must_use]
    pub fn new(uid: u32, gid: u32) -> Self {
        Self {
            pid: None,
            uid,
            gid,
        }
    }

    /// What SO_PEERCRED gives. The process 0 stands for one that this PID namespace doesn't know.
    #[must_use]
    pub fn from_kernel(pid: Option<i32>, uid: u32, gid: u32) -> Self {
        let pid = pid
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid > 0);
        Self { pid, uid, gid }
    }

    /// The same with the process's number.
    #[must_use]
    pub fn with_pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }
}
