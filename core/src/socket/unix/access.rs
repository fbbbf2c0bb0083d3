//! The mode and the owner of a socket's file, which decide who may connect.
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, lchown},
    path::Path,
};

/// What the file's mode and owner are to be; what isn't said, is as the system makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The mode of the file, whatever the umask is: at most 0o777.
    pub mode: Option<u32>,
    /// The user that it belongs to.
    pub user: Option<u32>,
    /// The group that it belongs to.
    pub group: Option<u32>,
}

impl Access {
    pub(super) fn is_default(self) -> bool {
        (self.mode, self.user, self.group) == (None, None, None)
    }

    /// What's wrong with it, whatever the file is.
    pub(super) fn fault(self) -> Option<String> {
        if let Some(mode) = self.mode
            && mode & !0o777 != 0
        {
            // Written without its `0o`, 660 is 0o1224.
            let meant = u32::from_str_radix(&mode.to_string(), 8).ok();
            let hint = match meant.filter(|meant| meant & !0o777 == 0) {
                Some(meant) => format!("it's octal: did you mean 0o{meant:o}?"),
                None => "such as 0o660".into(),
            };
            return Some(format!(
                "with_mode({mode}): a socket's mode is at most 0o777 ({hint})"
            ));
        }
        // chown(2) takes it for "leave it as it is".
        if self.user == Some(u32::MAX) || self.group == Some(u32::MAX) {
            return Some(format!(
                "with_owner: {} is nobody's number (use `None` to leave it as it is)",
                u32::MAX
            ));
        }
        None
    }

    pub(super) fn apply(self, path: &Path) -> io::Result<()> {
        if let Some(mode) = self.mode {
            fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(|e| told(&e, &format!("cannot give its file the mode 0o{mode:o}"), ""))?;
        }
        if self.user.is_some() || self.group.is_some() {
            let who = |what: &str, id: Option<u32>| id.map(|id| format!("{what} {id}"));
            let both = [who("user", self.user), who("group", self.group)];
            let both: Vec<_> = both.into_iter().flatten().collect();
            let hint =
                " (only root gives files to others; a user can choose among the groups it's in)";
            lchown(path, self.user, self.group).map_err(|e| {
                told(
                    &e,
                    &format!("cannot give its file to {}", both.join(" and ")),
                    hint,
                )
            })?;
        }
        Ok(())
    }
}

fn told(e: &io::Error, what: &str, hint: &str) -> io::Error {
    io::Error::new(e.kind(), format!("{what}: {}{hint}", e.kind()))
}
