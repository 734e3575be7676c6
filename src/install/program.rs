//! The program, and the one before it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::Installer;
use super::folder::{Folder, output};
use crate::error::{Error, Kind, Result};
use crate::text;

/// Its name.
pub(super) const NAME: &str = "deploy";
/// The name of the one before.
const PREVIOUS: &str = "deploy.previous";

/// A program that is to be installed.
pub(super) struct Program {
    bytes: Vec<u8>,
    /// What it says it is: `deploy 1.2.3`.
    pub(super) version: String,
}

impl Program {
    /// The program of this file, else the one that runs. Before anything is replaced:
    /// is it deploy, and does it run on this machine?
    pub(super) fn open(from: Option<&Path>) -> Result<Self> {
        let path = match from {
            Some(from) => from.to_owned(),
            None => std::env::current_exe().map_err(|error| {
                Error::new(Kind::Node, "this program's own file cannot be found")
                    .with_source(error)
                    .hint("name the program: --from FILE")
            })?,
        };
        let bytes = read(&path).map_err(|error| {
            Error::new(
                Kind::Node,
                format!("there is no file {}: {error}", path.display()),
            )
            .hint("give the deploy binary: --from target/release/deploy")
        })?;
        let version = version(output(path.as_os_str(), &["--version"]), &path)
            .map_err(|error| error.hint("give the deploy binary built for this machine"))?;
        Ok(Self { bytes, version })
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a program said of itself, where that is a version of deploy.
fn version(said: Option<Vec<u8>>, path: &Path) -> Result<String> {
    let said = String::from_utf8(said.unwrap_or_default()).unwrap_or_default();
    let said = said.trim();
    if said.starts_with("deploy ") && said.lines().count() == 1 {
        return Ok(text::line(said, text::LINE).into_owned());
    }
    Err(Error::new(
        Kind::Node,
        format!(
            "{} does not run here as deploy: --version said {}",
            path.display(),
            text::quoted(said)
        ),
    ))
}

/// Goes to the program's directory.
fn enter(installer: &Installer<'_>, bin: Folder) -> Result<Folder> {
    if installer.root && bin.own()?.st_uid != 0 {
        let message = format!(
            "{} is not root's: its owner could put another program in place of deploy",
            bin.path.display()
        );
        return Err(Error::new(Kind::Node, message)
            .hint("install to a directory of root's (--prefix), or run this as its owner"));
    }
    if bin.kind(NAME)? == Some(FileType::Directory) {
        let shown = bin.path.join(NAME);
        let message = format!(
            "{} is a directory, expected a program or nothing",
            shown.display()
        );
        return Err(Error::new(Kind::Node, message)
            .hint("move it away, or name another place with --prefix"));
    }
    if !installer.dry_run {
        bin.sweep(NAME)?;
        bin.sweep(PREVIOUS)?;
    }
    Ok(bin)
}

/// The program before stays as deploy.previous, for a way back.
pub(super) fn install(installer: &mut Installer<'_>, program: &Program) -> Result<()> {
    let shown = installer.places.program();
    let (shown, version) = (shown.display(), &program.version);
    let step = format!("install {shown} ({version})");
    let Some(bin) = installer.make(&installer.places.prefix.join("bin"))? else {
        installer.due(&step);
        return Ok(());
    };
    let bin = enter(installer, bin)?;
    let present = bin.read(NAME)?;
    if present.as_deref() == Some(&program.bytes) {
        installer.say(&format!("{shown} is this one already ({version})"));
        return Ok(());
    }
    if present.is_some()
        && !bin.same(NAME, PREVIOUS)?
        && installer.due(&format!("keep the present {shown} as {PREVIOUS}"))
    {
        bin.link(NAME, PREVIOUS)?;
    }
    if installer.due(&step) {
        bin.put(NAME, &program.bytes, 0o755)?;
        installer.say(&format!("installed {shown} ({version})"));
    }
    Ok(())
}

/// One rename, and the same again once it is done: a second way back must not lead
/// forward to what was not wanted. The version that is gone back to.
pub(super) fn roll_back(installer: &mut Installer<'_>) -> Result<String> {
    const INSTALL: &str =
        "install the version that is wanted: install.sh --release TAG or --from FILE";
    let bin = installer.enter(&installer.places.prefix.join("bin"))?;
    let bin = enter(installer, bin)?;
    let shown = bin.path.join(PREVIOUS);
    let (Some(previous), Some(present)) = (bin.read(PREVIOUS)?, bin.read(NAME)?) else {
        let message = format!("there is no {} to go back to", shown.display());
        return Err(Error::new(Kind::Node, message).hint(INSTALL));
    };
    let version =
        version(bin.run(PREVIOUS, &["--version"]), &shown).map_err(|error| error.hint(INSTALL))?;
    if previous == present {
        let program = installer.places.program();
        installer.say(&format!(
            "{} is the one before already ({version})",
            program.display()
        ));
    } else if installer.due(&format!("go back to {version}")) {
        bin.link(PREVIOUS, NAME)?;
        installer.say(&format!("went back to {version}"));
    }
    Ok(version)
}

/// The directory of the installed program, where it is there.
pub(super) fn find(installer: &Installer<'_>) -> Result<Option<Folder>> {
    let path: PathBuf = installer.places.prefix.join("bin");
    Folder::find(&path, installer.root)
}

/// Takes both away.
pub(super) fn uninstall(installer: &mut Installer<'_>) -> Result<()> {
    let Some(bin) = find(installer)? else {
        return Ok(());
    };
    let bin = enter(installer, bin)?;
    installer.take_away(&bin, NAME)?;
    installer.take_away(&bin, PREVIOUS)
}
