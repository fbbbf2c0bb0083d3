//! Who may connect, and who did: what takes two users.
use crate::scene::{
    GRACE, NOBODY, Scene, connect, error_at, listen_to, needs_other_user, needs_root, who,
    without_rights,
};
use anyport_core::{PeerCred, Transport, serve_raw_with};
use anyport_testkit::requirements::{Tests, block_on};
use rustix::process::{getegid, geteuid};
use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
    },
};

pub(crate) fn tests(tests: Tests) -> Tests {
    tests
        .unless(
            needs_root(),
            "access::the_owner_may_be_another_user",
            the_owner_may_be_another_user,
        )
        .unless(
            needs_other_user(),
            "access::an_owner_that_this_user_may_not_choose_is_an_error_and_nothing_is_left",
            an_owner_that_this_user_may_not_choose_is_an_error_and_nothing_is_left,
        )
        .unless(
            needs_root(),
            "access::a_user_without_the_right_cannot_connect",
            a_user_without_the_right_cannot_connect,
        )
        .unless(
            needs_root(),
            "access::a_raw_handler_learns_that_another_user_connected",
            || block_on(a_raw_handler_learns_that_another_user_connected()),
        )
}

fn the_owner_may_be_another_user() {
    let scene = Scene::new();
    let us = (geteuid().as_raw(), getegid().as_raw());
    for (user, group) in [
        (Some(NOBODY), None),
        (None, Some(NOBODY)),
        (Some(1), Some(2)),
    ] {
        let _server = scene.unix().with_owner(user, group).open(1).unwrap();
        let file = fs::metadata(&scene.path).unwrap();
        let owner = (file.uid(), file.gid());
        assert_eq!(owner, (user.unwrap_or(us.0), group.unwrap_or(us.1)));
    }
}

fn an_owner_that_this_user_may_not_choose_is_an_error_and_nothing_is_left() {
    let scene = Scene::new();
    fs::set_permissions(scene.folder.path(), Permissions::from_mode(0o777)).unwrap();
    let refused = || {
        error_at(
            &scene.path,
            &scene.unix().with_mode(0o660).with_owner(Some(0), Some(0)),
        )
    };
    assert_eq!(
        without_rights(refused),
        "cannot give its file to user 0 and group 0: permission denied (only root gives files to others; a user can \
         choose among the groups it's in)"
    );
    assert_eq!(scene.files(), [""; 0]);
}

fn a_user_without_the_right_cannot_connect() {
    let scene = Scene::new();
    fs::set_permissions(scene.folder.path(), Permissions::from_mode(0o755)).unwrap();
    for (mode, user, may) in [
        (0o660, None, false),
        (0o666, None, true),
        (0o600, Some(NOBODY), true),
    ] {
        let _server = scene
            .unix()
            .with_mode(mode)
            .with_owner(user, None)
            .open(1)
            .unwrap();
        let connected = without_rights(|| UnixStream::connect(&scene.path).map(drop));
        let refused = connected.map_err(|e| e.kind());
        let expected = if may {
            Ok(())
        } else {
            Err(io::ErrorKind::PermissionDenied)
        };
        assert_eq!(refused, expected, "mode {mode:o}, user {user:?}");
    }
}

async fn a_raw_handler_learns_that_another_user_connected() {
    let scene = Scene::new();
    let handle = serve_raw_with(scene.unix().with_mode(0o666), who)
        .start()
        .unwrap();
    let place = format!("unix:{}", scene.path.display());
    // In the same process.
    fs::set_permissions(scene.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let said = without_rights(|| listen_to(connect(&scene.path).unwrap()).unwrap());
    let nobody = PeerCred::new(NOBODY, NOBODY).with_pid(std::process::id());
    assert_eq!(said, format!("unix: {place} {:?}", Some(nobody)));
    handle.shutdown(GRACE).await.unwrap();
}
