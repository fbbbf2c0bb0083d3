//! Access rights and peer credentials, as far as they need two users.
use crate::fixture::{
    Fixture, GRACE, NOBODY, as_unprivileged_user, connect, describe_connection, error_at,
    needs_other_user, needs_root, read_all,
};
use anyport_core::{Transport, serve_raw_with, transport::PeerCred};
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
            "access::owner_may_be_another_user",
            owner_may_be_another_user,
        )
        .unless(
            needs_other_user(),
            "access::forbidden_owner_is_an_error_and_leaves_no_file",
            forbidden_owner_is_an_error_and_leaves_no_file,
        )
        .unless(
            needs_root(),
            "access::mode_and_owner_restrict_connecting",
            mode_and_owner_restrict_connecting,
        )
        .unless(
            needs_root(),
            "access::raw_handler_sees_the_credentials_of_another_user",
            || block_on(raw_handler_sees_the_credentials_of_another_user()),
        )
}

fn owner_may_be_another_user() {
    let fixture = Fixture::new();
    let us = (geteuid().as_raw(), getegid().as_raw());
    for (user, group) in [
        (Some(NOBODY), None),
        (None, Some(NOBODY)),
        (Some(1), Some(2)),
    ] {
        let _server = fixture.unix().with_owner(user, group).open(1).unwrap();
        let file = fs::metadata(&fixture.path).unwrap();
        let owner = (file.uid(), file.gid());
        assert_eq!(owner, (user.unwrap_or(us.0), group.unwrap_or(us.1)));
    }
}

fn forbidden_owner_is_an_error_and_leaves_no_file() {
    let fixture = Fixture::new();
    fs::set_permissions(fixture.folder.path(), Permissions::from_mode(0o777)).unwrap();
    let refused = || {
        error_at(
            &fixture.path,
            &fixture.unix().with_mode(0o660).with_owner(Some(0), Some(0)),
        )
    };
    assert_eq!(
        as_unprivileged_user(refused),
        "cannot give its file to user 0 and group 0: permission denied (only root may change the user; the group \
         must be one of the process's)"
    );
    assert_eq!(fixture.files(), [""; 0]);
}

fn mode_and_owner_restrict_connecting() {
    let fixture = Fixture::new();
    fs::set_permissions(fixture.folder.path(), Permissions::from_mode(0o755)).unwrap();
    for (mode, user, may) in [
        (0o660, None, false),
        (0o666, None, true),
        (0o600, Some(NOBODY), true),
    ] {
        let _server = fixture
            .unix()
            .with_mode(mode)
            .with_owner(user, None)
            .open(1)
            .unwrap();
        let connected = as_unprivileged_user(|| UnixStream::connect(&fixture.path).map(drop));
        let refused = connected.map_err(|e| e.kind());
        let expected = if may {
            Ok(())
        } else {
            Err(io::ErrorKind::PermissionDenied)
        };
        assert_eq!(refused, expected, "mode {mode:o}, user {user:?}");
    }
}

async fn raw_handler_sees_the_credentials_of_another_user() {
    let fixture = Fixture::new();
    let handle = serve_raw_with(fixture.unix().with_mode(0o666), describe_connection)
        .start()
        .unwrap();
    let address = format!("unix:{}", fixture.path.display());
    // The client is in the same process.
    fs::set_permissions(fixture.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let line = as_unprivileged_user(|| read_all(connect(&fixture.path).unwrap()).unwrap());
    let nobody = PeerCred::new(NOBODY, NOBODY).with_pid(std::process::id());
    assert_eq!(line, format!("unix: {address} {:?}", Some(nobody)));
    handle.shutdown(GRACE).await.unwrap();
}
