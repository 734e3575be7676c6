#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::OFlags;

use super::{directory_from, make_directory, open_file};
use crate::host::{Accounts, Environment};

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn where_state_lies() {
    let scratch = tempfile::tempdir().unwrap();
    let (usable, unusable) = (scratch.path().join("lib"), scratch.path().join("file/lib"));
    fs::write(scratch.path().join("file"), "").unwrap();
    let accounts = Accounts::parse(&format!("me:x:{}:1::/home/me:/bin/sh\n", uid()), "");
    let inside = ("GITHUB_ACTIONS", "true");
    for (system, variables, path, warned) in [
        (&usable, &[][..], usable.to_str().unwrap(), false),
        (&usable, &[("DEPLOY_STATE_DIR", "/s")], "/s", false),
        (&usable, &[("DEPLOY_STATE_DIR", "s")], "/cwd/s", false),
        (&usable, &[("STATE_DIRECTORY", "/a:/b")], "/a", false),
        (
            &usable,
            &[("STATE_DIRECTORY", "a")],
            usable.to_str().unwrap(),
            false,
        ),
        (
            &usable,
            &[("DEPLOY_STATE_DIR", "/s"), inside],
            usable.to_str().unwrap(),
            false,
        ),
        (
            &usable,
            &[("STATE_DIRECTORY", "/s"), inside],
            usable.to_str().unwrap(),
            false,
        ),
        (
            &unusable,
            &[("XDG_STATE_HOME", "/x"), ("HOME", "/h")],
            "/x/deploy",
            true,
        ),
        (
            &unusable,
            &[("XDG_STATE_HOME", "x"), ("HOME", "/h")],
            "/h/.local/state/deploy",
            true,
        ),
        (&unusable, &[], "/home/me/.local/state/deploy", true),
        (
            &unusable,
            &[
                ("XDG_STATE_HOME", "/x"),
                ("HOME", "/h"),
                ("TMPDIR", "/t"),
                inside,
            ],
            "/home/me/.local/state/deploy",
            true,
        ),
    ] {
        let environment: Environment = variables.iter().copied().collect();
        let found =
            directory_from(system, &environment, uid(), &accounts, Path::new("/cwd")).unwrap();
        assert_eq!(found.path, Path::new(path), "{variables:?}");
        assert_eq!(found.warning.is_some(), warned, "{variables:?}");
        if let Some(warning) = found.warning {
            assert!(
                warning.contains("other users of this node are not excluded"),
                "{warning}"
            );
            assert!(warning.contains("install -d -m 0750 -o me "), "{warning}");
        }
    }
    let unknown = Accounts::default();
    let only = Environment::from_iter([("HOME", "/h"), inside]);
    let found = directory_from(&unusable, &only, uid(), &unknown, Path::new("/")).unwrap();
    assert_eq!(found.path, Path::new("/h/.local/state/deploy"));
    let none = directory_from(
        &unusable,
        &Environment::default(),
        uid(),
        &unknown,
        Path::new("/"),
    );
    assert!(
        none.unwrap_err()
            .to_string()
            .contains("no place for lock and journal")
    );
}

#[test]
fn what_is_made_is_as_open_as_the_directory() {
    for (state, directory, file) in [
        (0o700, 0o700, 0o600),
        (0o755, 0o750, 0o640),
        (0o770, 0o2770, 0o660),
        (0o2770, 0o2770, 0o660),
        (0o777, 0o2770, 0o660),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(state)).unwrap();
        let locks = scratch.path().join("locks");
        make_directory(scratch.path(), &locks).unwrap();
        make_directory(scratch.path(), &locks).unwrap();
        let path = locks.join("x");
        let access = OFlags::RDWR | OFlags::APPEND;
        open_file(scratch.path(), &path, access).unwrap();
        open_file(scratch.path(), &path, access).unwrap();
        let bits = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        assert_eq!((bits(&locks), bits(&path)), (directory, file), "{state:o}");
    }
}

#[test]
fn a_symlink_in_the_state_directory_is_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let (target, link) = (scratch.path().join("target"), scratch.path().join("link"));
    fs::write(&target, "").unwrap();
    symlink(&target, &link).unwrap();
    assert!(open_file(scratch.path(), &link, OFlags::RDWR).is_err());
    fs::hard_link(&target, scratch.path().join("second")).unwrap();
    assert!(open_file(scratch.path(), &target, OFlags::RDWR).is_err());
    let (target, link) = (scratch.path().join("folder"), scratch.path().join("locks"));
    fs::create_dir(&target).unwrap();
    symlink(&target, &link).unwrap();
    assert!(make_directory(scratch.path(), &link).is_err());
}

/// Case E4: root deploys once in a directory of the runner's, as an operator does by
/// hand. What it makes is the runner's, who has to lock and write there later.
#[test]
fn what_root_makes_is_the_directorys_owners() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(scratch.path(), Some(4321), Some(4322)).unwrap();
    let folder = scratch.path().join("locks/shop.queue");
    make_directory(scratch.path(), &scratch.path().join("locks")).unwrap();
    make_directory(scratch.path(), &folder).unwrap();
    let file = folder.join("1");
    open_file(scratch.path(), &file, OFlags::RDWR).unwrap();
    for path in [scratch.path().join("locks"), folder, file] {
        let about = path.metadata().unwrap();
        assert_eq!(
            (about.uid(), about.gid()),
            (4321, 4322),
            "{}",
            path.display()
        );
    }
    // What is there stays as it is.
    let other = scratch.path().join("other");
    fs::write(&other, "").unwrap();
    open_file(scratch.path(), &other, OFlags::RDWR).unwrap();
    assert_eq!(other.metadata().unwrap().uid(), 0);
}
