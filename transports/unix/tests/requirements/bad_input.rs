//! What can't be bound because of another user: one line that says what, where and what to do.
use crate::scene::{Scene, needs_other_user, needs_root, without_rights};
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
            "bad_input::a_folder_that_this_user_may_not_write_in",
            a_folder_that_this_user_may_not_write_in,
        )
        .unless(
            needs_other_user(),
            "bad_input::a_socket_that_this_user_may_not_connect_to",
            a_socket_that_this_user_may_not_connect_to,
        )
        .unless(
            needs_root(),
            "bad_input::a_stale_socket_that_this_user_may_not_remove",
            a_stale_socket_that_this_user_may_not_remove,
        )
        .unless(
            needs_root(),
            "bad_input::a_lock_of_another_user",
            a_lock_of_another_user,
        )
}

fn a_folder_that_this_user_may_not_write_in() {
    let scene = Scene::new();
    let folder = scene.folder.path();
    fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
    let error = without_rights(|| scene.error());
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        error,
        format!(
            "permission denied (this user may not make files in {})",
            folder.display()
        )
    );
}

fn a_socket_that_this_user_may_not_connect_to() {
    let scene = Scene::new();
    fs::set_permissions(scene.folder.path(), Permissions::from_mode(0o777)).unwrap();
    let _theirs = UnixListener::bind(&scene.path).unwrap();
    fs::set_permissions(&scene.path, Permissions::from_mode(0o400)).unwrap();
    let error = without_rights(|| scene.error());
    assert_eq!(
        error,
        "a socket is there that this user may not connect to, so it may be in use (choose another path, or remove it)"
    );
}

fn a_stale_socket_that_this_user_may_not_remove() {
    let scene = Scene::new();
    // Everybody makes files there, and nobody removes another one's, as in /tmp.
    fs::set_permissions(scene.folder.path(), Permissions::from_mode(0o1777)).unwrap();
    drop(UnixListener::bind(&scene.path).unwrap());
    fs::set_permissions(&scene.path, Permissions::from_mode(0o666)).unwrap();
    let error = without_rights(|| scene.error());
    assert_eq!(
        error,
        "nobody listens at the socket that is there, but it cannot be removed: permission denied (remove it as its owner)"
    );
    assert_eq!(scene.files(), ["app.sock"]);
}

fn a_lock_of_another_user() {
    let scene = Scene::new();
    fs::set_permissions(scene.folder.path(), Permissions::from_mode(0o777)).unwrap();
    let _server = scene.unix().open(1).unwrap();
    let lock = format!("{}.lock", scene.path.display());
    assert_eq!(
        without_rights(|| scene.error()),
        format!("its lock {lock} belongs to user 0: run as that user, or remove it")
    );
}
