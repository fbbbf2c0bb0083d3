//! Paths that cannot be bound because of another user. One line says what, where and what to do.
use crate::fixture::{Fixture, as_unprivileged_user, needs_other_user, needs_root};
use anyport_core::Transport;
use anyport_testkit::requirements::Tests;
use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

pub(crate) fn tests(tests: Tests) -> Tests {
    tests
        .unless(
            needs_other_user(),
            "bad_input::unwritable_folder_is_an_error",
            unwritable_folder_is_an_error,
        )
        .unless(
            needs_other_user(),
            "bad_input::inaccessible_socket_is_an_error",
            inaccessible_socket_is_an_error,
        )
        .unless(
            needs_root(),
            "bad_input::unremovable_stale_socket_is_an_error",
            unremovable_stale_socket_is_an_error,
        )
        .unless(
            needs_root(),
            "bad_input::lock_of_another_user_is_an_error",
            lock_of_another_user_is_an_error,
        )
}

fn unwritable_folder_is_an_error() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
    let error = as_unprivileged_user(|| fixture.error());
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        error,
        format!(
            "permission denied (this user may not make files in {})",
            folder.display()
        )
    );
}

fn inaccessible_socket_is_an_error() {
    let fixture = Fixture::new();
    fs::set_permissions(fixture.folder.path(), Permissions::from_mode(0o777)).unwrap();
    let _theirs = UnixListener::bind(&fixture.path).unwrap();
    fs::set_permissions(&fixture.path, Permissions::from_mode(0o400)).unwrap();
    let error = as_unprivileged_user(|| fixture.error());
    assert_eq!(
        error,
        "a socket exists that this user may not connect to, so it may be in use (choose another path, or remove it)"
    );
}

fn unremovable_stale_socket_is_an_error() {
    let fixture = Fixture::new();
    // As in /tmp, all users create files there, and each removes only its own.
    fs::set_permissions(fixture.folder.path(), Permissions::from_mode(0o1777)).unwrap();
    drop(UnixListener::bind(&fixture.path).unwrap());
    fs::set_permissions(&fixture.path, Permissions::from_mode(0o666)).unwrap();
    let error = as_unprivileged_user(|| fixture.error());
    assert_eq!(
        error,
        "a socket without a listener exists, but it cannot be removed: permission denied (remove it as its owner)"
    );
    assert_eq!(fixture.files(), ["app.sock"]);
}

fn lock_of_another_user_is_an_error() {
    let fixture = Fixture::new();
    fs::set_permissions(fixture.folder.path(), Permissions::from_mode(0o777)).unwrap();
    let _server = fixture.unix().open(1).unwrap();
    let lock = format!("{}.lock", fixture.path.display());
    assert_eq!(
        as_unprivileged_user(|| fixture.error()),
        format!("its lock {lock} belongs to user 0: run as that user, or remove it")
    );
}
