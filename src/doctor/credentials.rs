//! The credentials that systemd hands to `deploy receive` (`LoadCredential`): what of
//! them would keep the service from starting, or a deploy from working.
//!
//! systemd copies them when the service starts, readable for it alone (root's, mode
//! 0440 and an ACL), 1 MB in all (systemd.exec(5), "Credentials"). No content is ever
//! shown.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Finding;
use crate::host::file::open_regular;
use crate::manifest::yaml;
use crate::text;

const CHECK: &str = "credentials";

/// The unit that hands them over, and where its copies are.
const UNIT: &str = "/etc/systemd/system/deploy.service";
const COPIES: &str = "/run/credentials/deploy.service";

/// The most that systemd hands over, in bytes.
const MOST: u64 = 1 << 20;

/// A credential, as a unit's line names it.
#[derive(Debug, PartialEq, Eq)]
struct Loaded {
    name: String,
    source: PathBuf,
    is_encrypted: bool,
}

/// What of a unit counts here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unit {
    loaded: Vec<Loaded>,
    /// Whether its processes have a home that they can write.
    has_home: bool,
}

/// Looks at what the unit of this machine loads; nothing where it loads nothing.
pub(super) fn look() -> Vec<Finding> {
    look_at(Path::new(UNIT), Path::new(COPIES))
}

fn look_at(unit: &Path, copies: &Path) -> Vec<Finding> {
    let Ok(text) = fs::read_to_string(unit) else {
        return Vec::new();
    };
    let unit = parse(&text);
    if unit.loaded.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut total = 0;
    for loaded in &unit.loaded {
        let name = shown(&loaded.source);
        let content = match read(&loaded.source) {
            Ok(content) => content,
            Err(error) => {
                found.push(
                    Finding::fail(
                        CHECK,
                        format!("{name} cannot be read ({error}): deploy.service will not start"),
                    )
                    .fix(format!(
                        "put it there, or take its LoadCredential out of {UNIT}"
                    )),
                );
                continue;
            }
        };
        total += content.len() as u64;
        found.extend(open_to_others(&loaded.source));
        if !loaded.is_encrypted {
            found.extend(inside(loaded, &content, unit.has_home));
        }
        found.extend(stale(loaded, &content, copies));
    }
    if total > MOST {
        found.push(
            Finding::fail(
                CHECK,
                format!("they have {total} bytes, and systemd hands over 1 MB in all"),
            )
            .fix("leave only what the receiver needs in the kubeconfig"),
        );
    }
    if found.is_empty() {
        let names: Vec<_> = unit.loaded.iter().map(|one| shown(&one.source)).collect();
        let loads = format!("deploy.service loads {}", names.join(", "));
        found.push(Finding::ok(CHECK, loads));
    }
    found
}

fn parse(text: &str) -> Unit {
    let mut unit = Unit::default();
    for line in text.lines().map(str::trim) {
        let (key, value) = line.split_once('=').unwrap_or_default();
        match key {
            "LoadCredential" | "LoadCredentialEncrypted" => {
                let Some((name, source)) = value.split_once(':') else {
                    continue;
                };
                unit.loaded.push(Loaded {
                    name: name.to_owned(),
                    source: source.into(),
                    is_encrypted: key == "LoadCredentialEncrypted",
                });
            }
            "Environment" => unit.has_home |= value.split(' ').any(|one| one.starts_with("HOME=")),
            _ => {}
        }
    }
    unit
}

fn read(source: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = open_regular(source)?;
    file.take(MOST + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn open_to_others(source: &Path) -> Option<Finding> {
    let mode = source.metadata().ok()?.mode() & 0o7777;
    let name = shown(source);
    (mode & 0o077 != 0).then(|| {
        Finding::warn(
            CHECK,
            format!("{name} can be read by others (mode {mode:04o}); systemd reads it as root"),
        )
        .fix(format!("as root: chmod 600 {name}"))
    })
}

/// What a copy that lies elsewhere, in a service of another user, cannot do.
fn inside(loaded: &Loaded, content: &[u8], has_home: bool) -> Vec<Finding> {
    let name = shown(&loaded.source);
    let Ok(text) = std::str::from_utf8(content) else {
        return vec![Finding::fail(CHECK, format!("{name} is not UTF-8"))];
    };
    let Ok(document) = yaml::parse(text) else {
        return vec![Finding::fail(
            CHECK,
            format!("{name} is neither YAML nor JSON"),
        )];
    };
    let mut found = Vec::new();
    for file in files(&document) {
        if !file.starts_with('/') {
            found.push(
                Finding::fail(
                    CHECK,
                    format!(
                        "{name} names {} by a relative path, which leads nowhere from the service's copy",
                        text::quoted(file)
                    ),
                )
                .fix("write it into the file itself: kubectl config view --raw --flatten"),
            );
        } else if file.starts_with("/home/") || file.starts_with("/root/") {
            found.push(
                Finding::fail(
                    CHECK,
                    format!(
                        "{name} names {}, and ProtectHome of the unit hides it",
                        text::quoted(file)
                    ),
                )
                .fix("write it into the file itself: kubectl config view --raw --flatten"),
            );
        }
    }
    if has_helper(&document) && !has_home {
        found.push(
            Finding::warn(
                CHECK,
                format!("{name} names a helper, which needs a home that it can write"),
            )
            .fix("in the unit: Environment=HOME=/var/lib/deploy"),
        );
    }
    found
}

/// The files that a kubeconfig names, and programs by a path.
fn files(kubeconfig: &Value) -> Vec<&str> {
    const KEYS: [&str; 4] = [
        "certificate-authority",
        "client-certificate",
        "client-key",
        "tokenFile",
    ];
    let mut found = Vec::new();
    for list in ["clusters", "users"] {
        for named in kubeconfig[list].as_array().into_iter().flatten() {
            let own = [&named["cluster"], &named["user"]];
            for part in own {
                found.extend(KEYS.iter().filter_map(|key| part[*key].as_str()));
                let command = part["exec"]["command"].as_str();
                // One without a slash is looked up in PATH.
                found.extend(command.filter(|command| command.contains('/')));
            }
        }
    }
    found.retain(|file| !file.is_empty());
    found
}

/// Whether a kubeconfig or a registry's login asks another program.
fn has_helper(document: &Value) -> bool {
    let users = document["users"].as_array().into_iter().flatten();
    users
        .map(|named| &named["user"]["exec"])
        .chain([&document["credsStore"], &document["credHelpers"]])
        .any(|helper| !helper.is_null())
}

/// Whether the service still has an earlier one.
fn stale(loaded: &Loaded, content: &[u8], copies: &Path) -> Option<Finding> {
    let copy = copies.join(&loaded.name);
    let time = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
    let is_stale = if loaded.is_encrypted {
        time(&loaded.source)? > time(&copy)?
    } else {
        read(&copy).ok()? != content
    };
    is_stale.then(|| {
        let name = shown(&loaded.source);
        Finding::warn(
            CHECK,
            format!(
                "{name} was changed since deploy.service started, which still has the one before"
            ),
        )
        .fix("as root: systemctl restart deploy.service")
    })
}

fn shown(path: &Path) -> String {
    text::line(&path.to_string_lossy(), 500).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use serde_json::json;

    use super::{MOST, look_at, parse};
    use crate::doctor::{Finding, Severity};

    /// What is found of this kubeconfig, with a copy of an earlier one or without.
    fn found(kubeconfig: &str, copy: Option<&str>, unit: &str) -> Vec<Finding> {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        let put = |name: &str, text: &str, mode| {
            fs::write(at(name), text).unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        };
        put("config", kubeconfig, 0o600);
        let unit = unit.replace("CONFIG", at("config").to_str().unwrap());
        put("unit", &unit, 0o644);
        fs::create_dir(at("copies")).unwrap();
        if let Some(copy) = copy {
            put("copies/kubeconfig", copy, 0o440);
        }
        look_at(&at("unit"), &at("copies"))
    }

    const PLAIN: &str =
        "[Service]\nEnvironment=HOME=/var/lib/deploy\nLoadCredential=kubeconfig:CONFIG\n";

    fn user(user: &serde_json::Value) -> String {
        json!({ "clusters": [], "users": [{ "name": "a", "user": user }] }).to_string()
    }

    #[test]
    fn what_would_not_work_is_told() {
        let plain = |text: &str| found(text, None, PLAIN);
        let inline = user(&json!({ "token": "s3cret" }));
        assert_eq!(plain(&inline)[0].level, Severity::Ok);
        for (text, told) in [
            (user(&json!({ "tokenFile": "token" })), "by a relative path"),
            (
                user(&json!({ "client-key": "./key.pem" })),
                "by a relative path",
            ),
            (
                user(&json!({ "exec": { "command": "../bin/login" } })),
                "by a relative path",
            ),
            (
                user(&json!({ "client-key": "/home/me/key.pem" })),
                "ProtectHome",
            ),
            ("[".to_owned(), "neither YAML nor JSON"),
            (
                "x".repeat(usize::try_from(MOST).unwrap() + 1),
                "1 MB in all",
            ),
        ] {
            let found = plain(&text);
            assert!(
                found
                    .iter()
                    .any(|one| one.level == Severity::Fail && one.found.contains(told)),
                "{found:?}"
            );
            assert!(!found.iter().any(|one| one.found.contains("s3cret")));
        }
        for text in [
            user(&json!({ "exec": { "command": "aws" } })),
            json!({ "credsStore": "pass" }).to_string(),
        ] {
            assert_eq!(plain(&text)[0].level, Severity::Ok);
            let homeless = PLAIN.replace("Environment=HOME=/var/lib/deploy\n", "");
            let found = found(&text, None, &homeless);
            assert!(found[0].found.contains("needs a home"), "{found:?}");
        }
    }

    #[test]
    fn a_change_that_the_service_has_not_seen_is_told() {
        let text = user(&json!({ "token": "s3cret" }));
        let same = found(&text, Some(&text), PLAIN);
        assert_eq!(same[0].level, Severity::Ok);
        let changed = found(&text, Some("{}"), PLAIN);
        assert!(
            changed[0].found.contains("was changed since"),
            "{changed:?}"
        );
        assert_eq!(
            changed[0].fix.as_deref(),
            Some("as root: systemctl restart deploy.service")
        );
        // An encrypted one cannot be compared; what it holds is not looked at.
        let encrypted = PLAIN.replace("LoadCredential", "LoadCredentialEncrypted");
        let found = found("sealed", Some("{}"), &encrypted);
        assert_eq!(found[0].level, Severity::Ok, "{found:?}");
    }

    #[test]
    fn a_missing_one_and_an_open_one_are_told() {
        assert!(look_at(Path::new("/nowhere"), Path::new("/nowhere")).is_empty());
        let scratch = tempfile::tempdir().unwrap();
        let unit = scratch.path().join("unit");
        fs::write(&unit, "LoadCredential=kubeconfig:/nowhere/config\n").unwrap();
        let found = look_at(&unit, scratch.path());
        assert!(found[0].found.contains("will not start"), "{found:?}");
        let open = scratch.path().join("open");
        fs::write(&open, "{}").unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
        fs::write(
            &unit,
            format!("LoadCredential=kubeconfig:{}\n", open.display()),
        )
        .unwrap();
        let found = look_at(&unit, Path::new("/nowhere"));
        assert!(
            found[0].found.contains("can be read by others (mode 0644)"),
            "{found:?}"
        );
    }

    /// The unit of the tree is one that is understood.
    #[test]
    fn the_units_own_lines() {
        let unit = parse(include_str!("../../systemd/deploy.service"));
        assert!(unit.has_home);
        let names: Vec<_> = unit.loaded.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["kubeconfig", "registry"]);
    }
}
