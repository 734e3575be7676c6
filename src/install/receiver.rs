//! `deploy receive` on this machine: a user that is to hold the credentials, the group
//! that may connect, its settings and systemd's units (docs/receiving.md).
//!
//! User and group are taken away again with the rest; the user stays as long as a
//! journal belongs to it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Gid, Uid};

use super::Installer;
use super::credentials;
use super::folder::Folder;
use super::owner::Owner;
use crate::error::{Error, Kind, Result};
use crate::host::Accounts;
use crate::text;

/// The receiver's user, and its own group.
const USER: &str = "deploy";

/// The group that may connect to the socket.
const GROUP: &str = "deploy-signal";

/// The user's home: the state directory.
const STATE: &str = "/var/lib/deploy";

const SETTINGS: &str = "receive.toml";
const UNITS: &str = "/etc/systemd/system";
const SERVICE: &str = "deploy.service";

/// The units by name, with the program where it lies by default.
const FILES: [(&str, &str); 2] = [
    ("deploy.socket", include_str!("../../systemd/deploy.socket")),
    (SERVICE, include_str!("../../systemd/deploy.service")),
];

/// The program as the unit names it.
const PROGRAM: &str = "/usr/local/bin/deploy";

/// What makes users and groups.
const MAKERS: [&str; 3] = ["groupadd", "useradd", "usermod"];

/// The runner's user by name, where a receiver can be set up here.
pub(super) fn prepare(installer: &Installer<'_>, runner: Owner) -> Result<String> {
    let refused = |message: &str, hint: &str| {
        Err(Error::new(Kind::Node, message.to_owned()).hint(hint.to_owned()))
    };
    if !installer.root {
        return refused(
            "--receive makes a user and units of the machine",
            "run this as root",
        );
    }
    let uid = runner.user.as_raw();
    let Some(name) = installer.accounts.name(uid) else {
        return refused(
            &format!("the runner's user {uid} has no name in /etc/passwd"),
            "name it: --user USER",
        );
    };
    if name == USER {
        return refused(
            "the runner's user is deploy, which is to be the receiver's",
            "let the runner run as another user: whoever holds the credentials is to run no jobs",
        );
    }
    if let Some(maker) = MAKERS.iter().find(|maker| which::which(maker).is_err()) {
        return refused(
            &format!("there is no {maker} on this machine"),
            "install it: Debian has it in the package passwd",
        );
    }
    Ok(name.to_owned())
}

/// The receiver's user, made where it is not there; none in a dry run that had to.
pub(super) fn user(installer: &mut Installer<'_>, runner: &str) -> Result<Option<Owner>> {
    if !installer.accounts.has_group(GROUP) && installer.due(&format!("make the group {GROUP}")) {
        change("groupadd", &["--system", GROUP])?;
        installer.say(&format!("made the group {GROUP}"));
    }
    if installer.accounts.by_name(USER).is_none() && installer.due(&format!("make the user {USER}"))
    {
        let home = ["--home-dir", STATE, "--no-create-home"];
        let shell = ["--shell", "/usr/sbin/nologin", USER];
        change(
            "useradd",
            &[&["--system", "--user-group"][..], &home, &shell].concat(),
        )?;
        installer.say(&format!("made the user {USER}"));
    }
    if installer.due(&format!("put {runner} into the group {GROUP}")) {
        change("usermod", &["--append", "--groups", GROUP, runner])?;
    }
    installer.accounts = Accounts::of_machine();
    let made = installer.accounts.by_name(USER);
    Ok(made.map(|(user, group)| Owner {
        user: Uid::from_raw(user),
        group: Some(Gid::from_raw(group)),
    }))
}

/// Settings for a start, and the units; then what is left to do.
pub(super) fn install(
    installer: &mut Installer<'_>,
    home: &Folder,
    runner: &str,
    user: Option<Owner>,
) -> Result<()> {
    settings(installer, runner, user)?;
    credentials::copy(installer, home)?;
    let etc = Folder::find(Path::new("/etc/deploy"), installer.root)?;
    for (name, unit) in FILES {
        let program = installer.places.program();
        let unit = unit.replace(PROGRAM, &program.to_string_lossy());
        let unit = credentials::unit(&unit, etc.as_ref())?;
        let step = format!("write {UNITS}/{name}");
        let Some(units) = installer.make(Path::new(UNITS))? else {
            installer.due(&step);
            continue;
        };
        if !installer.dry_run {
            units.sweep(name)?;
        }
        if units.read(name)?.as_deref() != Some(unit.as_bytes()) && installer.due(&step) {
            units.put(name, unit.as_bytes(), 0o644)?;
            installer.say(&format!("wrote {UNITS}/{name}"));
        }
    }
    read_units(installer)?;
    let missing = match &etc {
        Some(etc) => credentials::missing(etc)?,
        None => Vec::new(),
    };
    if !missing.is_empty() {
        installer.say(&format!(
            "put the credentials, of root and for nobody else to read, in {}; one that is not \
             needed has to leave {UNITS}/{SERVICE}",
            missing.join(" and ")
        ));
    }
    installer.say("then: systemctl enable --now deploy.socket");
    Ok(())
}

fn settings(installer: &mut Installer<'_>, runner: &str, user: Option<Owner>) -> Result<()> {
    let step = format!("write /etc/deploy/{SETTINGS}");
    let etc = installer.make(Path::new("/etc/deploy"))?;
    let (Some(etc), Some(user)) = (etc, user) else {
        installer.due(&step);
        return Ok(());
    };
    if etc.about(SETTINGS)?.is_some() {
        installer.say(&format!("left /etc/deploy/{SETTINGS} as it is"));
    } else if installer.due(&step) {
        etc.sweep(SETTINGS)?;
        let text = include_str!("receive.toml").replace("RUNNER", runner);
        etc.put_for(SETTINGS, text.as_bytes(), 0o640, user.group)?;
        installer.say(&format!("wrote /etc/deploy/{SETTINGS}: {runner} may send"));
    }
    Ok(())
}

/// Stops it and takes the units away, where they are ours.
pub(super) fn uninstall(installer: &mut Installer<'_>) -> Result<()> {
    let Some(units) = Folder::find(Path::new(UNITS), installer.root)? else {
        return Ok(());
    };
    let service = units.read(SERVICE)?.unwrap_or_default();
    let ours = format!(
        "ExecStart={} receive\n",
        installer.places.program().display()
    );
    if !String::from_utf8_lossy(&service).contains(&ours) {
        return Ok(());
    }
    if which::which("systemctl").is_ok() && installer.due("stop the receiver") {
        // Where it does not run there is nothing to stop.
        let _ = change("systemctl", &["disable", "--now", "deploy.socket", SERVICE]);
    }
    for (name, _) in FILES {
        installer.take_away(&units, name)?;
    }
    read_units(installer)?;
    take_group_away(installer)?;
    take_user_away(installer)
}

/// The group that may connect: its members are the runner's user and nobody else,
/// where nobody put another one in.
fn take_group_away(installer: &mut Installer<'_>) -> Result<()> {
    let members = installer.accounts.members_of(GROUP).map(<[String]>::len);
    match members {
        None => return Ok(()),
        Some(0 | 1) if which::which("groupdel").is_ok() => {}
        Some(_) => {
            installer.say(&format!("left: the group {GROUP}, which has other members"));
            return Ok(());
        }
    }
    if installer.due(&format!("remove the group {GROUP}")) {
        change("groupdel", &[GROUP])?;
        installer.say(&format!("removed the group {GROUP}"));
    }
    Ok(())
}

/// The user, where it was made here and nothing is left that belongs to it.
fn take_user_away(installer: &mut Installer<'_>) -> Result<()> {
    let Some((uid, _)) = installer.accounts.by_name(USER) else {
        return Ok(());
    };
    let is_ours = installer.accounts.home(uid) == Some(Path::new(STATE));
    let state = Folder::find(Path::new(STATE), installer.root)?;
    let is_empty = match &state {
        Some(state) => state
            .names()?
            .iter()
            .all(|name| [".", ".."].contains(&name.as_str())),
        None => true,
    };
    if !is_ours || !is_empty || which::which("userdel").is_err() {
        installer.say(&format!(
            "left: the user {USER}, to whom {STATE} belongs: take it away with userdel {USER}"
        ));
        return Ok(());
    }
    if installer.due(&format!("remove the user {USER}")) {
        if state.is_some() {
            // Empty, or this fails.
            let _ = std::fs::remove_dir(STATE);
        }
        if let Some(etc) = Folder::find(Path::new("/etc/deploy"), installer.root)?
            && let Some(settings) = etc.read(SETTINGS)?
        {
            // Its group goes with the user.
            etc.put(SETTINGS, &settings, 0o640)?;
        }
        change("userdel", &[USER])?;
        installer.say(&format!("removed the user {USER}"));
    }
    Ok(())
}

/// Has systemd read its units, where it is there.
fn read_units(installer: &mut Installer<'_>) -> Result<()> {
    if which::which("systemctl").is_ok() && installer.due("have systemd read its units") {
        change("systemctl", &["daemon-reload"])?;
    }
    Ok(())
}

/// Runs a program that changes users or units of the machine.
fn change(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(OsStr::new(program))
        .args(args)
        .stdin(Stdio::null())
        .output();
    let why = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let why = text::line(why.trim(), text::LINE).into_owned();
    Err(Error::new(Kind::Node, format!("{program} failed: {why}"))
        .hint("docs/receiving.md says what it is for"))
}
