//! Files that the server's user may not read.
use crate::files::{Files, error_of};
use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    thread,
};

pub(crate) fn no_other_user() -> Option<String> {
    let reason = "cannot become another user";
    as_unprivileged_user(|| ())
        .is_err()
        .then(|| reason.to_owned())
}

/// Runs `body` on a thread of an unprivileged user, or on this thread if the user is unprivileged
/// already.
fn as_unprivileged_user<T: Send>(body: impl FnOnce() -> T + Send) -> io::Result<T> {
    const NOBODY: u32 = 65534;
    if !geteuid().is_root() {
        return Ok(body());
    }
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            // These system calls change this thread only. libc's functions of the same names change
            // the process.
            set_thread_groups(&[])?;
            set_thread_res_gid(group, group, group)?;
            set_thread_res_uid(user, user, user)?;
            Ok(body())
        });
        thread.join().unwrap()
    })
}

pub(crate) fn unreadable_files_are_named() {
    let files = Files::new();
    fs::set_permissions(files.chain.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&files.chain, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&files.key, Permissions::from_mode(0o000)).unwrap();
    let error = as_unprivileged_user(|| error_of(&files.tls())).unwrap();
    let expected = format!(
        "cannot use the private key {}: permission denied",
        files.key.display()
    );
    assert_eq!(error, expected);
    fs::set_permissions(&files.chain, Permissions::from_mode(0o000)).unwrap();
    let error = as_unprivileged_user(|| error_of(&files.tls())).unwrap();
    let expected = format!(
        "cannot use the certificate {}: permission denied",
        files.chain.display()
    );
    assert_eq!(error, expected);
}
