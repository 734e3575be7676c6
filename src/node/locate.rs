//! Where the node's configuration lies.
//!
//! /etc/deploy/deploy.toml comes first; only where there is none, deploy.toml
//! beside the script as it was invoked. Inside Actions nothing of the
//! environment chooses it but `PATH`, and that only where the script is called
//! by its bare name.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::host::Environment;
use crate::text;

/// The node's own configuration.
pub const SYSTEM: &str = "/etc/deploy/deploy.toml";

/// The configuration of `deploy receive`.
pub const RECEIVER: &str = "/etc/deploy/receive.toml";

/// The directory of the script as invoked, absolute. A symlink is not
/// followed: the place of the link counts. A name without a slash is looked up
/// in `PATH` as a shell does; none where it is not found.
pub(super) fn script_directory(
    invoked_as: &OsStr,
    environment: &Environment,
    cwd: &Path,
) -> Option<PathBuf> {
    if invoked_as.is_empty() {
        return None;
    }
    let invoked = Path::new(invoked_as);
    if invoked_as.as_encoded_bytes().contains(&b'/') {
        return cwd.join(invoked).parent().map(Path::to_owned);
    }
    // An empty entry is the working directory, as POSIX has it.
    std::env::split_paths(environment.get("PATH")?)
        .map(|directory| cwd.join(directory))
        .find(|directory| is_program(&directory.join(invoked)))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Which deploy.toml counts; none where there is none.
pub(super) fn config(
    system: &Path,
    script: Option<&Path>,
    environment: &Environment,
    cwd: &Path,
) -> Result<Option<PathBuf>> {
    if let Some(named) = environment.by_hand("DEPLOY_CONFIG") {
        // Named, so it must be there: reading it says what is wrong.
        return Ok(Some(cwd.join(named)));
    }
    if is_there(system)? {
        return Ok(Some(system.to_owned()));
    }
    match script.map(|directory| directory.join("deploy.toml")) {
        Some(beside) if is_there(&beside)? => Ok(Some(beside)),
        _ => Ok(None),
    }
}

/// Whether there is something at a path, a dangling symlink included: what is
/// there but cannot be looked at must not be passed over.
pub(super) fn is_there(path: &Path) -> Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => {
            let path = text::line(&path.to_string_lossy(), 500).into_owned();
            let message = format!("cannot tell whether {path} is there: {error}");
            Err(Error::new(Kind::Node, message).hint(format!(
                "let the user that runs deploy look into its directory: namei -l {path} shows \
                 which right is missing"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use super::{Environment, config, script_directory};

    fn program(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_script_is_where_it_was_invoked() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        program(&root.join("real/deploy"));
        fs::create_dir(root.join("home")).unwrap();
        symlink(root.join("real/deploy"), root.join("home/deploy.sh")).unwrap();
        fs::create_dir(root.join("first")).unwrap();
        fs::write(root.join("first/deploy.sh"), "no program").unwrap();
        fs::create_dir_all(root.join("second/deploy.sh")).unwrap();
        let path = format!(
            "{0}/none:{0}/first:{0}/second:{0}/home:{0}/real",
            root.display()
        );
        let absolute = root.join("home/deploy.sh");
        for (invoked, path, cwd, found) in [
            (absolute.to_str().unwrap(), "", "/", Some(root.join("home"))),
            (
                "home/deploy.sh",
                "",
                root.to_str().unwrap(),
                Some(root.join("home")),
            ),
            ("./deploy.sh", "", "/x", Some(PathBuf::from("/x/."))),
            ("deploy.sh", path.as_str(), "/", Some(root.join("home"))),
            ("deploy", path.as_str(), "/", Some(root.join("real"))),
            ("deploy.sh", "/none", "/", None),
            ("deploy.sh", "", "/", None),
            ("", "/", "/", None),
        ] {
            let environment = Environment::from_iter([("PATH", path)]);
            let seen = script_directory(OsStr::new(invoked), &environment, Path::new(cwd));
            assert_eq!(seen, found, "{invoked}");
        }
        // An empty or relative entry of PATH means the working directory.
        for path in [":/none", "home", "."] {
            let cwd = if path == "home" {
                root.to_owned()
            } else {
                root.join("home")
            };
            let environment = Environment::from_iter([("PATH", path)]);
            let seen = script_directory(OsStr::new("deploy.sh"), &environment, &cwd).unwrap();
            assert_eq!(
                seen.canonicalize().unwrap(),
                root.join("home").canonicalize().unwrap()
            );
        }
    }

    #[test]
    fn the_systems_file_comes_first() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        let (system, script) = (root.join("etc/deploy.toml"), root.join("home"));
        fs::create_dir(&script).unwrap();
        fs::create_dir(root.join("etc")).unwrap();
        let by_hand = Environment::from_iter([("DEPLOY_CONFIG", "other.toml")]);
        let inside =
            Environment::from_iter([("DEPLOY_CONFIG", "other.toml"), ("GITHUB_ACTIONS", "true")]);
        let found =
            |environment: &Environment| config(&system, Some(&script), environment, root).unwrap();

        assert_eq!(found(&inside), None);
        fs::write(script.join("deploy.toml"), "").unwrap();
        assert_eq!(found(&inside), Some(script.join("deploy.toml")));
        symlink("/nowhere", &system).unwrap();
        assert_eq!(
            found(&inside),
            Some(system.clone()),
            "also where it is broken"
        );
        assert_eq!(found(&by_hand), Some(root.join("other.toml")));
    }
}
