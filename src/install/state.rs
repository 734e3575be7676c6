//! The state directory, and a deploy.toml for a start. What is there is left so.

use std::path::Path;

use super::Installer;
use super::folder::Folder;
use super::owner::Owner;
use crate::error::Result;

/// The file for a start: every key a comment, so that as it is it changes nothing.
const CONFIGURATION: &str = include_str!("deploy.toml");

/// The file for a start where a receiver deploys.
const FORWARDING: &str = include_str!("forward.toml");

const FILE: &str = "deploy.toml";
const NAME: &str = "deploy";

/// Lock and journal lie in it.
pub(super) fn directory(installer: &mut Installer<'_>, owner: Owner) -> Result<()> {
    if !installer.root {
        installer.say("not root, so /var/lib/deploy was left out: deploy keeps its journal in ~/.local/state/deploy");
        return Ok(());
    }
    let Some(lib) = installer.make(Path::new("/var/lib"))? else {
        return Ok(());
    };
    if !installer.dry_run {
        lib.sweep(NAME)?;
    }
    let user = owner.user.as_raw();
    let whose = if installer.places.receive {
        "the receiver's"
    } else {
        "the runner's"
    };
    if let Some(about) = lib.about(NAME)? {
        if about.st_uid != user {
            installer.say(&format!(
                "note: /var/lib/deploy belongs to user {}, not to {whose} user {user}; it was left so",
                about.st_uid
            ));
        }
        return Ok(());
    }
    if installer.due(&format!("make /var/lib/deploy for user {user}")) {
        lib.give(NAME, (owner.user, owner.group), 0o750)?;
        installer.say(&format!("made /var/lib/deploy for user {user}"));
    }
    Ok(())
}

/// Written only where there is none, and none beside the script, which it would take
/// the place of.
pub(super) fn configuration(installer: &mut Installer<'_>, home: &Folder) -> Result<()> {
    if !installer.root {
        installer.say("not root, so /etc/deploy/deploy.toml was left out: deploy.toml beside the script serves");
        return Ok(());
    }
    if home.about(FILE)?.is_some() {
        let beside = home.path.join(FILE);
        installer.say(&format!(
            "left {} as it is: one in /etc/deploy would take its place",
            beside.display()
        ));
        return Ok(());
    }
    let step = "write /etc/deploy/deploy.toml";
    let Some(etc) = installer.make(Path::new("/etc/deploy"))? else {
        installer.due(step);
        return Ok(());
    };
    if !installer.dry_run {
        etc.sweep(FILE)?;
    }
    if etc.about(FILE)?.is_none() && installer.due(step) {
        let (text, what) = if installer.places.receive {
            (FORWARDING, "signals go to the receiver")
        } else {
            (CONFIGURATION, "all comments, for a start")
        };
        etc.put(FILE, text.as_bytes(), 0o644)?;
        installer.say(&format!("wrote /etc/deploy/deploy.toml: {what}"));
    }
    Ok(())
}
