//! The mode and the owner of a socket's file, which decide who may connect.
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, lchown},
    path::Path,
};

/// The mode and the owner of a socket's file. `None` leaves the system's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The mode of the file, regardless of the umask: at most 0o777.
    pub mode: Option<u32>,
    /// The owning user.
    pub user: Option<u32>,
    /// The owning group.
    pub group: Option<u32>,
}

impl Access {
    pub(super) fn is_default(self) -> bool {
        (self.mode, self.user, self.group) == (None, None, None)
    }

    /// The error of a mode or an owner that is invalid for every file.
    pub(super) fn invalid(self) -> Option<String> {
        if let Some(mode) = self.mode
            && mode & !0o777 != 0
        {
            // Written without its `0o`, 660 is 0o1224.
            let meant = u32::from_str_radix(&mode.to_string(), 8).ok();
            let hint = match meant.filter(|meant| meant & !0o777 == 0) {
                Some(meant) => format!("modes are octal: did you mean 0o{meant:o}?"),
                None => "such as 0o660".into(),
            };
            return Some(format!(
                "with_mode({mode}): a socket's mode is at most 0o777 ({hint})"
            ));
        }
        // For chown(2) this value means "do not change".
        if self.user == Some(u32::MAX) || self.group == Some(u32::MAX) {
            return Some(format!(
                "with_owner: {} is not a valid id (use `None` to keep the default)",
                u32::MAX
            ));
        }
        None
    }

    pub(super) fn apply(self, path: &Path) -> io::Result<()> {
        if let Some(mode) = self.mode {
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|e| {
                explained(&e, &format!("cannot give its file the mode 0o{mode:o}"), "")
            })?;
        }
        if self.user.is_some() || self.group.is_some() {
            let who = |what: &str, id: Option<u32>| id.map(|id| format!("{what} {id}"));
            let both = [who("user", self.user), who("group", self.group)];
            let both: Vec<_> = both.into_iter().flatten().collect();
            let hint = " (only root may change the user; the group must be one of the process's)";
            lchown(path, self.user, self.group).map_err(|e| {
                explained(
                    &e,
                    &format!("cannot give its file to {}", both.join(" and ")),
                    hint,
                )
            })?;
        }
        Ok(())
    }
}

fn explained(e: &io::Error, what: &str, hint: &str) -> io::Error {
    io::Error::new(e.kind(), format!("{what}: {}{hint}", e.kind()))
}
