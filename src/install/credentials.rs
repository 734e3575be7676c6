//! The credentials of `deploy receive`: what the runner's user has is copied for it,
//! of root and for nobody else to read, and sealed to this machine where systemd can
//! (`systemd-creds`). The runner's own is left, and named: its deploys may still need it.
//!
//! The runner's home is another user's: no link in it is followed.

use std::path::Path;

use rustix::fs::FileType;

use super::Installer;
use super::folder::Folder;
use crate::error::Result;
use crate::text;

/// The most that systemd hands over, in bytes.
const MOST: i64 = 1 << 20;

const ETC: &str = "/etc/deploy";

/// A credential: its name in the unit, its file, and where a home may have it.
struct Credential {
    name: &'static str,
    file: &'static str,
    homes: &'static [(&'static str, &'static str)],
}

const ALL: [Credential; 2] = [
    Credential {
        name: "kubeconfig",
        file: "kubeconfig",
        homes: &[(".kube", "config")],
    },
    Credential {
        name: "registry",
        file: "registry.json",
        homes: &[
            (".config/helm/registry", "config.json"),
            (".docker", "config.json"),
        ],
    },
];

impl Credential {
    fn sealed(&self) -> String {
        format!("{}.cred", self.name)
    }

    fn path(&self) -> String {
        format!("{ETC}/{}", self.file)
    }
}

/// Copies what there is; what lies in /etc/deploy already is left so.
pub(super) fn copy(installer: &mut Installer<'_>, home: &Folder) -> Result<()> {
    for credential in &ALL {
        for (folder, file) in credential.homes {
            let own = home.path.join(folder).join(file);
            if own.symlink_metadata().is_err() {
                continue;
            }
            if take_over(installer, home, credential, (folder, file))? {
                break;
            }
        }
    }
    for (folder, file) in ALL.iter().flat_map(|credential| credential.homes) {
        let own = home.path.join(folder).join(file);
        if own.symlink_metadata().is_ok() {
            installer.say(&format!(
                "the runner's user still has {}: every job can read it; take it away once the receiver deploys",
                own.display()
            ));
        }
    }
    Ok(())
}

/// Whether the receiver has one now.
fn take_over(
    installer: &mut Installer<'_>,
    home: &Folder,
    credential: &Credential,
    (folder, file): (&str, &str),
) -> Result<bool> {
    let own = home.path.join(folder).join(file);
    let step = format!("copy {} to {}", own.display(), credential.path());
    let Some(etc) = installer.make(Path::new(ETC))? else {
        return Ok(!installer.due(&step));
    };
    if etc.about(credential.file)?.is_some() || etc.about(&credential.sealed())?.is_some() {
        return Ok(true);
    }
    let content = match content(installer, home, &own, file) {
        Ok(content) => content,
        Err(why) => {
            installer.say(&format!("{} was not copied: {why}", own.display()));
            return Ok(false);
        }
    };
    if installer.due(&step) {
        etc.sweep(credential.file)?;
        etc.put(credential.file, &content, 0o600)?;
        let kept = seal(&etc, credential)?;
        installer.say(&format!(
            "copied {} to {kept}: look through it, since what it names is run as the receiver's user",
            own.display()
        ));
    }
    Ok(true)
}

/// What the runner's own file holds, or why that is not taken.
fn content(
    installer: &Installer<'_>,
    home: &Folder,
    own: &Path,
    file: &str,
) -> Result<Vec<u8>, String> {
    let said = |error: crate::error::Error| error.to_string();
    let parent = own.parent().unwrap_or(own);
    let folder = Folder::find(parent, installer.root).map_err(said)?;
    let folder = folder.ok_or("it is gone")?;
    let about = folder.about(file).map_err(said)?.ok_or("it is gone")?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile || about.st_nlink > 1 {
        return Err("it is no plain file of one name".to_owned());
    }
    let owner = home.own().map_err(said)?.st_uid;
    if ![0, owner].contains(&about.st_uid) {
        return Err("it belongs to somebody else".to_owned());
    }
    if about.st_size > MOST {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let content = folder.read(file).map_err(said)?;
    content.ok_or_else(|| "it is no file".to_owned())
}

/// Seals a credential to this machine where that can be done; gives its place.
fn seal(etc: &Folder, credential: &Credential) -> Result<String> {
    let (plain, sealed) = (credential.path(), format!("{ETC}/{}", credential.sealed()));
    let name = format!("--name={}", credential.name);
    let args = ["encrypt", &name, &plain, &sealed];
    let done = which::which("systemd-creds")
        .ok()
        .and_then(|program| super::folder::output(program.as_os_str(), &args));
    if done.is_some() && etc.kind(&credential.sealed())? == Some(FileType::RegularFile) {
        etc.remove(credential.file)?;
        return Ok(sealed);
    }
    etc.remove(&credential.sealed())?;
    Ok(plain)
}

/// The unit, with those credentials sealed that are.
pub(super) fn unit(unit: &str, etc: Option<&Folder>) -> Result<String> {
    let mut unit = unit.to_owned();
    let Some(etc) = etc else {
        return Ok(unit);
    };
    for credential in &ALL {
        if etc.about(&credential.sealed())?.is_some() && etc.about(credential.file)?.is_none() {
            let (name, sealed) = (credential.name, credential.sealed());
            unit = unit.replace(
                &format!("LoadCredential={name}:{}\n", credential.path()),
                &format!("LoadCredentialEncrypted={name}:{ETC}/{sealed}\n"),
            );
        }
    }
    Ok(unit)
}

/// What of them the receiver does not have yet.
pub(super) fn missing(etc: &Folder) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for credential in &ALL {
        if etc.about(credential.file)?.is_none() && etc.about(&credential.sealed())?.is_none() {
            missing.push(text::line(&credential.path(), text::LINE).into_owned());
        }
    }
    Ok(missing)
}
