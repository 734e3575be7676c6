//! Completions and the manual page, as the installed program prints them.

use std::path::Path;

use super::Installer;
use super::folder::Folder;
use super::program;
use crate::error::Result;

/// What the program is asked for, the directory below `share`, and the name there.
const DOCUMENTS: [(&[&str], &str, &str); 4] = [
    (
        &["completions", "bash"],
        "bash-completion/completions",
        "deploy",
    ),
    (&["completions", "zsh"], "zsh/site-functions", "_deploy"),
    (
        &["completions", "fish"],
        "fish/vendor_completions.d",
        "deploy.fish",
    ),
    (&["man"], "man/man1", "deploy.1"),
];

/// Writes them. A program that prints none is older than this one: no harm.
pub(super) fn install(installer: &mut Installer<'_>, version: &str) -> Result<()> {
    let share = installer.places.prefix.join("share");
    let bin = program::find(installer)?;
    for (args, directory, name) in DOCUMENTS {
        let shown = share.join(directory).join(name);
        let step = format!("write {}", shown.display());
        if installer.dry_run {
            installer.due(&step);
            continue;
        }
        let printed = bin.as_ref().and_then(|bin| bin.run(program::NAME, args));
        let Some(printed) = printed else {
            installer.say(&format!("{version} has no '{}' to install", args[0]));
            continue;
        };
        let Some(folder) = installer.make(&share.join(directory))? else {
            continue;
        };
        write(installer, &folder, name, &printed)?;
    }
    Ok(())
}

fn write(installer: &mut Installer<'_>, folder: &Folder, name: &str, printed: &[u8]) -> Result<()> {
    folder.sweep(name)?;
    if folder.read(name)?.as_deref() != Some(printed) {
        folder.put(name, printed, 0o644)?;
        installer.say(&format!("wrote {}", folder.path.join(name).display()));
    }
    Ok(())
}

/// Takes them away.
pub(super) fn uninstall(installer: &mut Installer<'_>) -> Result<()> {
    for (_, directory, name) in DOCUMENTS {
        let path = installer
            .places
            .prefix
            .join("share")
            .join(Path::new(directory));
        if let Some(folder) = Folder::find(&path, installer.root)? {
            if !installer.dry_run {
                folder.sweep(name)?;
            }
            installer.take_away(&folder, name)?;
        }
    }
    Ok(())
}
