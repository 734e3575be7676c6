//! deploy.toml: its types, and how a document becomes them.
//!
//! Pure: no file is read here. Every mistake is reported at once, with its line;
//! a value of `[env]` is never shown, since proxies carry passwords.

mod across;
mod callers;
mod env;
mod excerpt;
mod fleet;
mod forward;
mod images;
mod keys;
mod names;
mod reader;
mod receive;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

pub use forward::Forwarding;
pub use keys::{KEYS, Key, Section};
use names::{FilePath, SingleLine, VariableName};
pub use names::{Namespace, ReleaseName};
use reader::{Mistake, Table};
pub use receive::{Account, OnDisconnect, Receive};
pub use verify::Verifying;

use super::events::EventName;
use crate::error::{Error, Kind, Result};
use crate::plan::caller::Issuer;
use crate::plan::fleet::Fleet;
use crate::plan::{Caller, ImageParts, OnFailure, Platform, ValuePath, Window};
use crate::signal::{App, ChartRef, ImageKey, ImageRef, Owner, app_hint};
use crate::{text, units};

/// What a deploy.toml says. The default is what holds without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What holds for every application.
    pub defaults: Settings,
    /// Variables given to helm and to the registry client.
    pub env: BTreeMap<String, String>,
    /// The listed applications; as soon as there is one, only these deploy.
    pub apps: BTreeMap<App, Application>,
    /// Who may send signals to `deploy receive`: in its own configuration only.
    pub receive: Option<Receive>,
}

/// Keys of `[defaults]`, each also per application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// One budget for the whole deploy.
    pub timeout: Option<Duration>,
    /// What happens after a failed rollout.
    pub on_failure: Option<OnFailure>,
    /// A rollback's own budget.
    pub rollback_timeout: Option<Duration>,
    /// Who may own chart and images.
    pub owners: Option<BTreeSet<Owner>>,
    /// GitHub events that may deploy.
    pub events: Option<BTreeSet<EventName>>,
    /// Whose signals are taken: then each needs GitHub's token.
    pub callers: Option<Vec<Caller>>,
    /// How old a token of a hosted runner may be.
    pub token_age: Option<Duration>,
    /// Who issues the tokens.
    pub token_issuer: Option<Issuer>,
    /// The helm binary, absolute.
    pub helm: Option<PathBuf>,
    /// The kubeconfig, absolute.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context.
    pub kube_context: Option<String>,
    /// Variables that count though a workflow set them.
    pub inherit_env: Option<BTreeSet<String>>,
    /// What gets the signal: Helm or a controller.
    pub forward: Option<Forwarding>,
    /// How long to wait for another deploy of the release.
    pub lock_timeout: Option<Duration>,
    /// After what time a holder that cannot be proven dead counts as dead.
    pub stale_after: Option<Duration>,
    /// What chart and images are proven with.
    pub verify: Option<Verifying>,
    /// When signals are taken.
    pub windows: Option<Vec<Window>>,
    /// How long evidence is kept.
    pub evidence_keep: Option<Duration>,
    /// How much evidence is kept, in bytes.
    pub evidence_max: Option<u64>,
}

/// A table `[apps.<app>]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Application {
    /// The release's namespace.
    pub namespace: Option<Namespace>,
    /// The release's name.
    pub release: Option<ReleaseName>,
    /// The one chart that the app may be deployed with.
    pub chart: Option<ChartRef>,
    /// Values files, absolute.
    pub values: Option<Vec<PathBuf>>,
    /// Where a key's image stands. An empty list only declares the key.
    pub images: BTreeMap<ImageKey, Vec<ValuePath>>,
    /// The parts of a key's image by themselves. Such a key has no list.
    pub image_parts: BTreeMap<ImageKey, ImageParts>,
    /// Keys that a signal must carry.
    pub required: BTreeSet<ImageKey>,
    /// Keys whose workload the node's values switch off.
    pub absent: BTreeSet<ImageKey>,
    /// Images that the proof lets pass.
    pub allow_images: BTreeSet<ImageRef>,
    /// Platforms that the nodes run besides their own.
    pub platforms: BTreeSet<Platform>,
    /// What carries it out in several clusters, where Argo CD does.
    pub fleet: Option<Fleet>,
    /// What differs from the defaults.
    pub settings: Settings,
}

impl Config {
    /// Reads a document. `file` is its absolute path: it is named in errors,
    /// and relative paths are meant from its directory. An error (`Kind::Node`)
    /// names every mistake.
    pub fn parse(document: &str, file: &Path) -> Result<Self> {
        let (root, syntax) = DeTable::parse_recoverable(document);
        if !syntax.is_empty() {
            let mistakes = syntax.iter().map(|error| Mistake {
                at: error.span().map_or(0, |span| span.start),
                message: error.message().to_owned(),
                hint: None,
            });
            return Err(error(document, file, mistakes.collect()));
        }
        let mut mistakes = Vec::new();
        let config = config(root.get_ref(), file, &mut mistakes);
        across::check(&config, root.get_ref(), &mut mistakes);
        if mistakes.is_empty() {
            Ok(config)
        } else {
            Err(error(document, file, mistakes))
        }
    }
}

fn error(document: &str, file: &Path, mut mistakes: Vec<Mistake>) -> Error {
    mistakes.sort_by_key(|mistake| mistake.at);
    let file = text::line(&file.to_string_lossy(), text::LINE).into_owned();
    let mut told = mistakes.iter().map(|mistake| {
        let (line, column) = reader::position(document, mistake.at);
        let message = text::line(&mistake.message, text::LINE);
        let told = match &mistake.hint {
            Some(hint) => format!("{file}:{line}:{column}: {message}; {hint}"),
            None => format!("{file}:{line}:{column}: {message}"),
        };
        (told, excerpt::of(document, mistake.at))
    });
    // The parser and the reader give at least one mistake with each error.
    let (first, excerpt) = told
        .next()
        .unwrap_or_else(|| (format!("{file}: not readable"), Vec::new()));
    let mut error = Error::new(Kind::Node, first).details(excerpt);
    for (line, excerpt) in told.by_ref().take(20) {
        error = error.detail(line).details(excerpt);
    }
    let left = told.count();
    if left > 0 {
        error = error.detail(format!("… and {left} more"));
    }
    error.hint(format!(
        "correct {file}; docs/configuration.md lists its keys"
    ))
}

fn config(root: &DeTable<'_>, file: &Path, mistakes: &mut Vec<Mistake>) -> Config {
    let base = file.parent().unwrap_or(Path::new("/"));
    let mut root = Table::new("", root);
    let mut config = Config::default();
    if let Some(mut table) = root.table("defaults", mistakes) {
        config.defaults = settings(&mut table, base, mistakes);
        table.finish(mistakes);
    }
    if let Some(table) = root.table("receive", mistakes) {
        config.receive = Some(receive::read(table, mistakes));
    }
    if let Some(table) = root.table("env", mistakes) {
        config.env = env::read(table, mistakes);
    }
    if let Some(mut apps) = root.table("apps", mistakes) {
        for (name, at, value) in apps.drain() {
            let path = apps.path_of(name);
            let Some(table) = value.get_ref().as_table() else {
                mistakes.push(Mistake {
                    at: value.span().start,
                    message: format!(
                        "{path} is {}, expected a table",
                        reader::named(value.get_ref())
                    ),
                    hint: None,
                });
                continue;
            };
            let app = application(Table::new(path, table), at, base, mistakes);
            match name.parse::<App>() {
                Ok(name) => {
                    config.apps.insert(name, app);
                }
                Err(expected) => mistakes.push(Mistake {
                    at,
                    message: format!("{} is not an app, expected {expected}", text::quoted(name)),
                    hint: app_hint(name),
                }),
            }
        }
    }
    root.finish(mistakes);
    config
}

fn settings(table: &mut Table<'_>, base: &Path, mistakes: &mut Vec<Mistake>) -> Settings {
    const DURATION: &str = "a duration above zero, such as \"10m\" or \"1h30m\"";
    let path = |path: FilePath| base.join(path.0);
    let mut settings = Settings {
        timeout: table
            .text::<names::PositiveDuration>("timeout", DURATION, mistakes)
            .map(|t| t.0),
        on_failure: table
            .text::<names::Failure>("on_failure", "\"rollback\" or \"keep\"", mistakes)
            .map(|failure| failure.0),
        rollback_timeout: table
            .text::<names::PositiveDuration>("rollback_timeout", DURATION, mistakes)
            .map(|t| t.0),
        owners: table
            .list("owners", "a GitHub login such as \"acme\"", mistakes)
            .map(BTreeSet::from_iter),
        events: table
            .list("events", EventName::EXPECTED, mistakes)
            .map(BTreeSet::from_iter),
        callers: callers::read(table, mistakes),
        token_age: table
            .text::<names::PositiveDuration>("token_age", DURATION, mistakes)
            .map(|t| t.0),
        token_issuer: table.text("token_issuer", Issuer::EXPECTED, mistakes),
        helm: table.text("helm", FilePath::EXPECTED, mistakes).map(path),
        kubeconfig: table
            .text("kubeconfig", FilePath::EXPECTED, mistakes)
            .map(path),
        kube_context: table
            .text::<SingleLine>("kube_context", "the name of a context", mistakes)
            .map(|name| name.0),
        inherit_env: table
            .list::<VariableName>("inherit_env", VariableName::EXPECTED, mistakes)
            .map(|names| names.into_iter().map(|name| name.0).collect()),
        lock_timeout: table
            .text::<units::GoDuration>("lock_timeout", "a duration such as \"10m\"", mistakes)
            .map(|t| t.0),
        stale_after: table
            .text::<names::PositiveDuration>("stale_after", DURATION, mistakes)
            .map(|t| t.0),
        windows: table.list("windows", Window::EXPECTED, mistakes),
        forward: forward::read(table, base, mistakes),
        verify: verify::read(table, base, mistakes),
        ..Settings::default()
    };
    if let Some(mut evidence) = table.table("evidence", mistakes) {
        settings.evidence_keep = evidence
            .text::<units::Age>("keep", "an age such as \"30d\" or \"12h\"", mistakes)
            .map(|age| age.0);
        settings.evidence_max = evidence
            .text::<units::Size>("max", "a size such as \"200MB\" or \"1GiB\"", mistakes)
            .map(|size| size.0);
        evidence.finish(mistakes);
    }
    settings
}

/// A table of `[apps]`; `at` is where its name stands.
fn application(
    mut table: Table<'_>,
    at: usize,
    base: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Application {
    const KEY: &str = "an image key such as \"cron\"";
    let mut app = Application {
        namespace: table.text("namespace", Namespace::EXPECTED, mistakes),
        release: table.text("release", ReleaseName::EXPECTED, mistakes),
        chart: table.text("chart", "oci://ghcr.io/<owner>/charts/<chart>", mistakes),
        values: table
            .list::<FilePath>("values", FilePath::EXPECTED, mistakes)
            .map(|paths| paths.into_iter().map(|path| base.join(path.0)).collect()),
        required: set(table.list("required", KEY, mistakes)),
        absent: set(table.list("absent", KEY, mistakes)),
        allow_images: set(table.list(
            "allow_images",
            "ghcr.io/<owner>/<path> with :tag, @sha256:<digest>, or both",
            mistakes,
        )),
        platforms: set(table.list("platforms", Platform::EXPECTED, mistakes)),
        ..Application::default()
    };
    if let Some(mut images) = table.table("images", mistakes) {
        for (key, at, value) in images.drain() {
            let path = images.path_of(key);
            let place = images::place(&path, value, mistakes);
            match (key.parse::<ImageKey>(), place) {
                (Ok(key), Some((paths, parts))) => {
                    app.image_parts
                        .extend(parts.map(|parts| (key.clone(), parts)));
                    app.images.insert(key, paths);
                }
                (Ok(_), None) => {}
                (Err(expected), _) => mistakes.push(Mistake {
                    at,
                    message: format!(
                        "{} is not an image key, expected {expected}",
                        text::quoted(key)
                    ),
                    hint: None,
                }),
            }
        }
    }
    if let Some(key) = app.required.intersection(&app.absent).next() {
        mistakes.push(Mistake {
            at,
            message: format!("the image key {key} stands in required and in absent"),
            hint: Some("take it out of one of them".to_owned()),
        });
    }
    app.fleet = fleet::read(&mut table, at, base, mistakes);
    app.settings = settings(&mut table, base, mistakes);
    table.finish(mistakes);
    app
}

fn set<T: Ord>(list: Option<Vec<T>>) -> BTreeSet<T> {
    list.unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests;
