//! Names that cannot be bound. One line says what, where and what to do.

use crate::fixture::{Fixture, error_at, error_of};
use anyport_core::{
    Transport,
    error::{Blame, ErrorKind},
};
use anyport_unix::Unix;
use std::{fs, os::unix::fs::symlink, path::Path};

#[test]
fn invalid_paths_are_errors() {
    let cases = [
        ("", "the path is empty (name a file, such as /run/app.sock)"),
        ("/", "this is a folder (add the name of a file)"),
        ("run/", "this is a folder (add the name of a file)"),
        ("run/..", "this is a folder (add the name of a file)"),
    ];
    for (path, what) in cases {
        let error = Unix::bind(path).open(1).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot bind unix:{path}: {what}")
        );
        assert_eq!(
            (error.kind(), error.blame()),
            (ErrorKind::Bind, Blame::Local)
        );
    }
    assert_eq!(
        error_of(&Unix::bind("\0app")),
        "cannot bind unix:\\x00app: a path cannot contain a zero byte (for a name in Linux's abstract namespace: \
         `Unix::bind_abstract`)"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn too_long_names_show_the_limit() {
    let fixture = Fixture::new();
    let begin = format!("{}/", fixture.folder.path().display());
    let path = |length: usize| format!("{begin}{}", "x".repeat(length - begin.len()));
    Unix::bind(path(107)).open(1).unwrap();
    for length in [108, 109, 300] {
        let path = path(length);
        assert_eq!(
            error_at(path.as_ref(), &Unix::bind(&path)),
            format!(
                "the path is {length} bytes long, and the maximum is 107 (choose a shorter one, or one relative to \
                 the working directory)"
            )
        );
    }

    let unique = format!("anyport-test-long-{}-", std::process::id());
    let name = |length: usize| format!("{unique:x<length$}");
    Unix::bind_abstract(name(107)).open(1).unwrap();
    let name = name(108);
    assert_eq!(
        error_at(format!("@{name}").as_ref(), &Unix::bind_abstract(&name)),
        "the abstract name is 108 bytes long, and the maximum is 107 (choose a shorter one)"
    );
    assert_eq!(
        error_of(&Unix::bind_abstract("")),
        "cannot bind unix:@: the abstract name is empty (choose one)"
    );
}

#[test]
fn missing_folder_is_an_error() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("no/such");
    let path = folder.join("app.sock");
    assert_eq!(
        error_at(&path, &Unix::bind(&path)),
        format!(
            "its folder does not exist (`mkdir -p {}` makes it)",
            folder.display()
        )
    );
}

#[test]
fn path_below_a_file_is_an_error() {
    let fixture = Fixture::new();
    fs::write(&fixture.path, "").unwrap();
    let path = fixture.path.join("app.sock");
    assert_eq!(
        error_at(&path, &Unix::bind(&path)),
        "a part of its path is not a folder"
    );
}

#[test]
fn lock_that_is_no_regular_file_is_an_error() {
    let fixture = Fixture::new();
    let lock = fixture.folder.path().join("app.sock.lock");
    let no_file = format!(
        "its lock {}.lock is not a regular file: remove it",
        fixture.path.display()
    );
    fs::create_dir(&lock).unwrap();
    assert_eq!(fixture.error(), no_file);
    fs::remove_dir(&lock).unwrap();
    // Following the link would create a file elsewhere.
    let elsewhere = fixture.folder.path().join("elsewhere");
    symlink(&elsewhere, &lock).unwrap();
    assert_eq!(fixture.error(), no_file);
    assert!(!elsewhere.exists());
}

#[test]
fn invalid_mode_or_owner_is_an_error() {
    let config = |unix: Unix| {
        let error = unix.open(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    };
    let unix = || Unix::bind(Path::new("never.sock"));
    assert_eq!(
        config(unix().with_mode(660)),
        "with_mode(660): a socket's mode is at most 0o777 (modes are octal: did you mean 0o660?)"
    );
    assert_eq!(
        config(unix().with_mode(0o4755)),
        "with_mode(2541): a socket's mode is at most 0o777 (such as 0o660)"
    );
    assert_eq!(
        config(unix().with_owner(Some(u32::MAX), None)),
        "with_owner: 4294967295 is not a valid id (use `None` to keep the default)"
    );
    #[cfg(target_os = "linux")]
    assert_eq!(
        config(Unix::bind_abstract("name").with_mode(0o600)),
        "with_mode and with_owner apply to the file that `Unix::bind` makes, not to unix:@name"
    );
}
