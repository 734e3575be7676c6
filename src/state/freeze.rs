//! Freezes: for how long no signal is taken, of one app or of all.
//!
//! A freeze is a file of its own, written whole or not at all. It lies where
//! operators keep deploy.toml, where the caller can write there: the runner's user
//! cannot take it away then. Else it lies in the state directory. A file that
//! cannot be read counts as one that forbids: nothing is deployed.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::directory::prepare;
use crate::error::{Error, Kind, Result};
use crate::host::file::open_regular;
use crate::run::Who;
use crate::signal::App;
use crate::text;

/// Where operators keep what the runner's user cannot change.
pub const OPERATORS: &str = "/etc/deploy";

/// The most that a file may hold, in bytes.
const MAX: u64 = 64 * 1024;

/// A freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The app; none where it is for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// Why.
    pub reason: String,
    /// Whose doing it was.
    pub by: Who,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none where somebody has to end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Actors, events and users that are let through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

impl Freeze {
    /// Whether it has ended by itself.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it lets this caller through: by actor or event in a workflow, by the
    /// unix user elsewhere.
    pub fn lets_through(&self, who: &Who) -> bool {
        let names = match &who.workflow {
            Some(workflow) => vec![workflow.actor.as_deref(), workflow.event.as_deref()],
            None => vec![Some(who.user.as_str())],
        };
        let mut names = names.into_iter().flatten();
        names.any(|name| {
            self.allow
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(name))
        })
    }

    /// One line for people: what is frozen, why, by whom, until when.
    pub fn line(&self) -> String {
        let what = self.app.as_ref().map_or("every app", App::as_str);
        let time = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
        let until = self
            .until
            .map_or_else(String::new, |until| format!(", until {}", time(until)));
        let workflow = self.by.workflow.as_ref();
        let by = workflow.and_then(|workflow| workflow.actor.as_ref());
        format!(
            "{what} is frozen: {} (by {} since {}{until})",
            text::line(&self.reason, 300),
            text::line(by.unwrap_or(&self.by.user), 60),
            time(self.since),
        )
    }
}

/// Where freezes may lie on a node with this state directory.
pub fn places(state: &Path) -> Vec<PathBuf> {
    vec![PathBuf::from(OPERATORS), state.to_owned()]
}

/// The freezes that count for an app now, those for all apps first. An error
/// (`Kind::Node`) where a file cannot be read.
pub fn of(places: &[PathBuf], app: &App, now: Timestamp) -> Result<Vec<Freeze>> {
    let mut found = Vec::new();
    for name in [name(None), name(Some(app))] {
        for place in places {
            found.extend(read(&place.join(&name))?);
        }
    }
    found.retain(|freeze| !freeze.is_over(now));
    Ok(found)
}

/// Writes a freeze where the runner's user cannot take it away, where this user
/// can; gives the file.
pub fn write(places: &[PathBuf], freeze: &Freeze) -> Result<PathBuf> {
    let name = name(freeze.app.as_ref());
    let mut failure = None;
    for place in places {
        match write_into(place, &name, freeze) {
            Ok(file) => return Ok(file),
            Err(error) => failure = Some((place, error)),
        }
    }
    let (place, error) = failure.map_or_else(
        || (PathBuf::new(), io::Error::from(io::ErrorKind::NotFound)),
        |(place, error)| (place.clone(), error),
    );
    let message = format!(
        "the freeze cannot be written into {}: {error}",
        shown(&place)
    );
    Err(Error::new(Kind::Node, message).hint("freeze as root: sudo deploy freeze"))
}

/// Ends the freezes of an app, or those for all; how many there were. An error
/// where one is another user's.
pub fn remove(places: &[PathBuf], app: Option<&App>) -> Result<usize> {
    let mut ended = 0;
    for place in places {
        let file = place.join(name(app));
        match fs::remove_file(&file) {
            Ok(()) => ended += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("the freeze {} cannot be ended: {error}", shown(&file));
                return Err(Error::new(Kind::Node, message)
                    .hint("end it as the user who made it, or as root: sudo deploy unfreeze"));
            }
        }
    }
    Ok(ended)
}

/// An app's name holds no dot, so no two of these are one.
fn name(app: Option<&App>) -> String {
    app.map_or("freeze.json".to_owned(), |app| format!("freeze.{app}.json"))
}

fn read(file: &Path) -> Result<Option<Freeze>> {
    let read = || -> io::Result<Freeze> {
        let mut text = Vec::new();
        open_regular(file)?.take(MAX).read_to_end(&mut text)?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    };
    match read() {
        Ok(freeze) => Ok(Some(freeze)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!(
                "the freeze {} cannot be read, so nothing is deployed: {error}",
                shown(file)
            );
            Err(Error::new(Kind::Node, message)
                .hint("see what it says, then end it: sudo deploy unfreeze"))
        }
    }
}

fn write_into(place: &Path, name: &str, freeze: &Freeze) -> io::Result<PathBuf> {
    let operators = place == Path::new(OPERATORS);
    if operators {
        // Others read there: deploy.toml is for all users.
        if !place.is_dir() {
            fs::create_dir(place)?;
            fs::set_permissions(place, fs::Permissions::from_mode(0o755))?;
        }
    } else {
        prepare(place)?;
    }
    let mut file = tempfile::NamedTempFile::new_in(place)?;
    serde_json::to_writer(&mut file, freeze)?;
    file.write_all(b"\n")?;
    let about = place.metadata()?;
    // In a shared state directory its group reads what is in it.
    let group = about.permissions().mode() & 0o040;
    let mode = if operators { 0o644 } else { 0o600 | group };
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))?;
    give_to_owner(file.as_file(), &about)?;
    file.as_file().sync_all()?;
    let path = place.join(name);
    file.persist(&path).map_err(|error| error.error)?;
    File::open(place)?.sync_all()?;
    Ok(path)
}

/// What root makes in another's directory is that one's to read.
fn give_to_owner(file: &File, directory: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    if rustix::process::geteuid().is_root() && directory.uid() != 0 {
        fchown(file, Some(directory.uid()), Some(directory.gid()))?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    text::line(&path.to_string_lossy(), 500).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::{Freeze, of, remove, write};
    use crate::error::Kind;
    use crate::run::{Who, Workflow};

    fn freeze(app: Option<&str>) -> Freeze {
        Freeze {
            app: app.map(|app| app.parse().unwrap()),
            reason: "a\nfair".to_owned(),
            by: Who {
                user: "alice".to_owned(),
                ..Who::default()
            },
            since: "2026-11-27T10:00:00Z".parse().unwrap(),
            until: Some("2026-11-27T12:00:00Z".parse().unwrap()),
            allow: vec![
                "Octocat".to_owned(),
                "schedule".to_owned(),
                "bob".to_owned(),
            ],
        }
    }

    #[test]
    fn a_freeze_counts_for_its_app_until_it_ends() {
        let place = tempfile::tempdir().unwrap();
        let places = [place.path().join("none"), place.path().to_owned()];
        let at = |time: &str| time.parse().unwrap();
        let (shop, other) = ("shop".parse().unwrap(), "other".parse().unwrap());
        let count = |app, time| of(&places, app, at(time)).unwrap().len();
        write(&places[1..], &freeze(Some("shop"))).unwrap();
        assert_eq!(count(&shop, "2026-11-27T11:00:00Z"), 1);
        assert_eq!(count(&shop, "2026-11-27T12:00:00Z"), 0);
        assert_eq!(count(&other, "2026-11-27T11:00:00Z"), 0);
        write(&places[1..], &freeze(None)).unwrap();
        assert_eq!(count(&shop, "2026-11-27T11:00:00Z"), 2);
        assert_eq!(count(&other, "2026-11-27T11:00:00Z"), 1);
        assert_eq!(remove(&places, None).unwrap(), 1);
        assert_eq!(remove(&places, None).unwrap(), 0);
        assert_eq!(count(&other, "2026-11-27T11:00:00Z"), 0);
        assert_eq!(
            freeze(None).line(),
            "every app is frozen: a\\nfair (by alice since 2026-11-27 10:00 UTC, until 2026-11-27 12:00 UTC)"
        );
    }

    #[test]
    fn what_cannot_be_read_forbids() {
        let place = tempfile::tempdir().unwrap();
        let places = [place.path().to_owned()];
        let now = "2026-11-27T11:00:00Z".parse().unwrap();
        let app = "shop".parse().unwrap();
        let file = place.path().join("freeze.shop.json");
        for content in ["", "{}", "{\"reason\":", "null"] {
            fs::write(&file, content).unwrap();
            let error = of(&places, &app, now).unwrap_err();
            assert_eq!(error.kind(), Kind::Node, "{content}");
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(of(&places, &app, now).unwrap_err().kind(), Kind::Node);
    }

    #[test]
    fn those_who_are_named_are_let_through() {
        let who = |actor: Option<&str>, event: &str, user: &str| Who {
            user: user.to_owned(),
            uid: 1,
            workflow: actor.map(|actor| Workflow {
                actor: Some(actor.to_owned()),
                event: Some(event.to_owned()),
                ..Workflow::default()
            }),
            ..Who::default()
        };
        for (who, through) in [
            (who(Some("octocat"), "push", "runner"), true),
            (who(Some("mallory"), "schedule", "runner"), true),
            (who(Some("mallory"), "push", "bob"), false),
            (who(None, "", "bob"), true),
            (who(None, "", "alice"), false),
        ] {
            assert_eq!(freeze(None).lets_through(&who), through, "{who:?}");
        }
    }
}
