//! The symlink that workflows call, and what stood at its name before.

use rustix::fs::FileType;

use super::Installer;
use super::folder::Folder;
use crate::error::{Error, Kind, Result};

/// Makes it; what stood there and is not ours is kept.
pub(super) fn install(installer: &mut Installer<'_>, home: &Folder) -> Result<()> {
    let (_, name) = installer.places.link()?;
    let (link, program) = (installer.places.link.clone(), installer.places.program());
    let shown = link.display();
    if home.kind(name)? == Some(FileType::Directory) {
        let message = format!("{shown} is a directory, expected a script or nothing");
        return Err(
            Error::new(Kind::Node, message).hint("move it away, or name another place with --link")
        );
    }
    if !installer.dry_run {
        home.sweep(name)?;
    }
    if home.read_link(name)?.as_ref() == Some(&program) {
        installer.say(&format!("{shown} leads to it already"));
        return Ok(());
    }
    keep(installer, home, name)?;
    if installer.due(&format!("link {shown} -> {}", program.display())) {
        home.lead(name, &program)?;
        installer.say(&format!("linked {shown} -> {}", program.display()));
    }
    Ok(())
}

/// Keeps what stands at the link's name. It is given a second name first, so that
/// the old script can be called until the rename.
fn keep(installer: &mut Installer<'_>, home: &Folder, name: &str) -> Result<()> {
    let Some(kind) = home.kind(name)? else {
        return Ok(());
    };
    let link = installer.places.link.clone();
    if !matches!(kind, FileType::RegularFile | FileType::Symlink) {
        let message = format!("{} is neither a file nor a symlink", link.display());
        return Err(
            Error::new(Kind::Node, message).hint("move it away, or name another place with --link")
        );
    }
    let target = home.read_link(name)?;
    let mut kept = format!("{name}.before");
    let mut count = 1;
    while home.about(&kept)?.is_some() {
        // A run that was killed has kept it already.
        let is_kept = match &target {
            Some(target) => home.read_link(&kept)?.as_ref() == Some(target),
            None => home.same(name, &kept)?,
        };
        if is_kept {
            return Ok(());
        }
        count += 1;
        kept = format!("{name}.before.{count}");
    }
    let at = link.with_file_name(&kept);
    let what = format!("what is {} as {}", link.display(), at.display());
    if installer.due(&format!("keep {what}")) {
        home.keep(name, &kept)?;
        installer.say(&format!(
            "kept what was {} as {}",
            link.display(),
            at.display()
        ));
    }
    Ok(())
}

/// Takes the link away where it is ours, and says what was kept.
pub(super) fn uninstall(installer: &mut Installer<'_>) -> Result<()> {
    let (parent, name) = installer.places.link()?;
    let link = installer.places.link.clone();
    let Some(home) = Folder::find(parent, installer.root)? else {
        return Ok(());
    };
    if !installer.dry_run {
        home.sweep(name)?;
    }
    if home.read_link(name)? == Some(installer.places.program()) {
        installer.take_away(&home, name)?;
    } else if home.about(name)?.is_some() {
        installer.say(&format!("left {}: it is not ours", link.display()));
    }
    let before = format!("{name}.before");
    for kept in home
        .names()?
        .iter()
        .filter(|kept| kept.starts_with(&before))
    {
        let at = link.with_file_name(kept);
        installer.say(&format!(
            "what was {} before is {}",
            link.display(),
            at.display()
        ));
    }
    Ok(())
}
