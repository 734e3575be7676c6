//! `deploy install`: puts the program, and the symlink that workflows call, where
//! they belong; goes back to the program before; takes all of it away again.
//!
//! Every name appears by rename: a deploy that starts meanwhile finds the old one or
//! the new one, never half of one, and so does whoever runs this again after it was
//! killed. What stood at the link's name is kept. As root it must never follow a
//! symlink that somebody else could have made, and never put the program where
//! somebody else could replace it. It fetches nothing: install.sh does.

mod credentials;
mod documents;
mod folder;
mod link;
mod owner;
mod program;
mod receiver;
mod state;

use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::geteuid;

use crate::error::{Error, Kind, Result};
use crate::host::Accounts;

use folder::Folder;
use owner::Owner;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Install or upgrade; the program that is named, else this one.
    Install(Option<PathBuf>),
    /// Go back to the program before.
    RollBack,
    /// Take it away again.
    Uninstall,
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `bin/deploy`, and `share` with what belongs to it, lie below; absolute.
    pub prefix: PathBuf,
    /// The symlink that workflows call; absolute.
    pub link: PathBuf,
    /// The runner's user, by name or number; else the owner of the link's directory.
    pub user: Option<String>,
    /// Whether `deploy receive` is set up too.
    pub receive: bool,
}

impl Places {
    /// The program.
    fn program(&self) -> PathBuf {
        self.prefix.join("bin").join(program::NAME)
    }

    /// The link's directory, and its name there. `Kind::Request` where the path is
    /// no file's.
    fn link(&self) -> Result<(&Path, &str)> {
        let name = self.link.file_name().and_then(|name| name.to_str());
        let shown = self.link.to_string_lossy();
        match (self.link.parent(), name) {
            (Some(parent), Some(name)) if shown.ends_with(name) => Ok((parent, name)),
            _ => Err(Error::new(
                Kind::Request,
                format!("--link wants the path of a script, not of a directory: {shown}"),
            )),
        }
    }
}

/// An installation at work.
struct Installer<'a> {
    places: &'a Places,
    accounts: Accounts,
    root: bool,
    dry_run: bool,
    tell: &'a mut dyn FnMut(&str),
}

/// Carries it out and tells each step; a dry run tells what it would do and does
/// nothing. `Kind::Request` for a path or user that cannot be meant, `Kind::Node`
/// where the machine does not let it.
pub fn run(
    action: &Action,
    places: &Places,
    dry_run: bool,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let mut installer = Installer {
        places,
        accounts: Accounts::of_machine(),
        root: geteuid().is_root(),
        dry_run,
        tell,
    };
    match action {
        Action::Install(from) => installer.install(from.as_deref()),
        Action::RollBack => {
            let version = program::roll_back(&mut installer)?;
            documents::install(&mut installer, &version)
        }
        Action::Uninstall => installer.uninstall(),
    }
}

impl Installer<'_> {
    fn install(&mut self, from: Option<&Path>) -> Result<()> {
        // Looked at first: nothing is installed that could not be linked.
        let (parent, _) = self.places.link()?;
        let home = self.enter(parent)?;
        let mut owner = Owner::of(self, &home)?;
        let receive = self.places.receive;
        let runner = receive.then(|| receiver::prepare(self, owner));
        let runner = runner.transpose()?;
        let program = program::Program::open(from)?;
        program::install(self, &program)?;
        documents::install(self, &program.version)?;
        let mut receives = None;
        if let Some(runner) = &runner {
            receives = receiver::user(self, runner)?;
            owner = receives.unwrap_or(owner);
        }
        state::directory(self, owner)?;
        state::configuration(self, &home)?;
        if let Some(runner) = &runner {
            receiver::install(self, &home, runner, receives)?;
        }
        link::install(self, &home)?;
        if !self.dry_run {
            let link = self.places.link.display();
            self.say(&format!("try it: {link} doctor"));
        }
        Ok(())
    }

    /// The link first: at no time does it lead nowhere.
    fn uninstall(&mut self) -> Result<()> {
        link::uninstall(self)?;
        documents::uninstall(self)?;
        program::uninstall(self)?;
        receiver::uninstall(self)?;
        self.say("left: /etc/deploy, values files, and /var/lib/deploy with the journal");
        Ok(())
    }

    fn say(&mut self, line: &str) {
        (self.tell)(line);
    }

    /// Whether a step is to be taken; in a dry run it is told instead.
    fn due(&mut self, step: &str) -> bool {
        if self.dry_run {
            (self.tell)(&format!("would {step}"));
        }
        !self.dry_run
    }

    /// A directory that has to be there.
    fn enter(&self, path: &Path) -> Result<Folder> {
        match Folder::find(path, self.root)? {
            Some(folder) => Ok(folder),
            None => Err(Error::new(
                Kind::Node,
                format!("there is no directory {}", path.display()),
            )
            .hint("make it first, or name another place (deploy install --help)")),
        }
    }

    /// A directory that is made where it is not there; none in a dry run that had to.
    fn make(&mut self, path: &Path) -> Result<Option<Folder>> {
        let root = self.root;
        Folder::walk(path, root, &mut |folder, name| {
            let shown = folder.path.join(name);
            if self.due(&format!("make {}", shown.display())) {
                folder.make(name).map(Some)
            } else {
                Ok(None)
            }
        })
    }

    /// Removes a name, where it is there.
    fn take_away(&mut self, folder: &Folder, name: &str) -> Result<()> {
        let shown = folder.path.join(name);
        if folder.about(name)?.is_some() && self.due(&format!("remove {}", shown.display())) {
            folder.remove(name)?;
            self.say(&format!("removed {}", shown.display()));
        }
        Ok(())
    }
}
