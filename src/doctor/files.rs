//! What lies on the node: the script, deploy.toml, values files, the state
//! directory. It only looks; the file that shows whether there is room is removed
//! at once.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::finding::Finding;
use crate::chart::values;
use crate::host::Environment;
use crate::node::Node;
use crate::node::config::Verifying;
use crate::plan::{Plan, RefPattern, Verify};
use crate::provenance::{EMBEDDED, Prover};
use crate::state::{self, journal};
use crate::text;

/// Where workflows find the script, where nothing else is known.
const SCRIPT: &str = "/home/github-runner/deploy.sh";

/// How many days old a trusted root may be before it is told of.
const ROOT_DAYS: i32 = 180;

/// How much room a state directory must have, in bytes.
const ROOM: usize = 64 * 1024;

/// The name that workflows call.
pub(super) fn script(invoked_as: &OsStr) -> Finding {
    let invoked = Path::new(invoked_as);
    let script = if invoked.is_absolute() && invoked.extension() == Some(OsStr::new("sh")) {
        invoked.to_owned()
    } else {
        PathBuf::from(SCRIPT)
    };
    let program = std::env::current_exe().ok();
    judge_script(&script, program.as_deref())
}

fn judge_script(script: &Path, program: Option<&Path>) -> Finding {
    let (check, name) = ("script", shown(script));
    let link = program.map(|program| format!("as its owner: ln -sfn {} {name}", shown(program)));
    let mend = |finding: Finding| match &link {
        Some(link) => finding.fix(link.clone()),
        None => finding,
    };
    if script.symlink_metadata().is_err() {
        let home = script.parent().is_some_and(Path::is_dir);
        let gone = format!("there is no {name}");
        return if home {
            mend(Finding::fail(check, format!("{gone}: workflows call it")))
        } else {
            Finding::warn(
                check,
                format!("{gone} and no home around it: workflows must call another name"),
            )
        };
    }
    match (script.canonicalize(), program.map(Path::canonicalize)) {
        (Err(_), _) => mend(Finding::fail(check, format!("{name} leads nowhere"))),
        (Ok(found), Some(Ok(program))) if found == program => {
            Finding::ok(check, format!("{name} is this program"))
        }
        (Ok(found), _) => Finding::warn(
            check,
            format!("{name} is another program: {}", shown(&found)),
        )
        .fix("install.sh keeps it as deploy.sh.before and puts deploy in its place"),
    }
}

/// How a file that decides over deploys becomes one that no job can write.
fn out_of_reach(file: &Path) -> String {
    match file.parent() {
        Some(folder) if folder == Path::new("/etc/deploy") => {
            let (file, folder) = (shown(file), shown(folder));
            format!("as root: chown root: {folder} {file} && chmod go-w {folder} {file}")
        }
        _ => "as root, move it to /etc/deploy, and the files that it names".to_owned(),
    }
}

/// deploy.toml, which was read.
pub(super) fn configuration(node: &Node) -> Finding {
    let check = "deploy.toml";
    let Some(file) = &node.file else {
        return Finding::ok(check, "there is none: the defaults count");
    };
    let name = shown(file);
    if node.uid != 0 && can_change(file) {
        return Finding::warn(
            check,
            format!("{name} is read, but this user can write it: so can every job of the runner"),
        )
        .fix(out_of_reach(file));
    }
    match node.config.apps.len() {
        0 => Finding::ok(
            check,
            format!("{name} is read; it lists no app, so every app is allowed to deploy"),
        ),
        apps => Finding::ok(check, format!("{name} is read; it lists {apps} apps")),
    }
}

/// The app's values files, whose modes are right.
pub(super) fn values(plan: &Plan, node: &Node) -> Finding {
    let check = "values";
    for file in &plan.values {
        let name = file.to_string_lossy();
        let read = std::fs::read_to_string(file).map_err(|error| {
            Finding::fail(check, format!("{} cannot be read: {error}", shown(file)))
                .fix("save it as UTF-8")
        });
        let parsed = read.and_then(|content| {
            values::parse(&name, &content).map_err(|error| Finding::failed(check, &error))
        });
        if let Err(finding) = parsed {
            return finding;
        }
    }
    let names: Vec<_> = plan.values.iter().map(|file| shown(file)).collect();
    match plan
        .values
        .iter()
        .find(|file| node.uid != 0 && can_change(file))
    {
        _ if names.is_empty() => Finding::ok(check, "there are none: the chart's own count"),
        Some(_) => Finding::warn(
            check,
            format!(
                "{} can be written by this user: so can every job of the runner",
                names.join(", ")
            ),
        )
        .fix("as root, move them to /etc/deploy and name them in deploy.toml: values = […]"),
        None => Finding::ok(check, names.join(", ")),
    }
}

/// What the origin of chart and images is proven with.
pub(super) fn verify(plan: &Plan, node: &Node) -> Finding {
    let check = "verify";
    let (found, file) = match &plan.verify {
        None => {
            return Finding::ok(
                check,
                "it is off: whoever can push to the registry decides what a tag means",
            )
            .fix("sign what is pushed, and name the public key in deploy.toml: verify = { key = \"deploy.pub\" }");
        }
        Some(Verify::Key(key)) => {
            let own = node.config.apps.get(&plan.request.app);
            let own = own.and_then(|app| app.settings.verify.as_ref());
            let file = match own.or(node.config.defaults.verify.as_ref()) {
                Some(Verifying::Key(file)) => Some(file.as_path()),
                _ => None,
            };
            let found = format!("only what the key {} signed is deployed", key.fingerprint());
            (found, file)
        }
        Some(Verify::Workflow(policy)) => {
            let refs: Vec<&str> = policy.refs.iter().map(RefPattern::as_str).collect();
            let file = policy.trusted_root.as_ref().map(|file| file.path.as_path());
            let found = format!(
                "only what {} built from {} is deployed",
                policy.workflow,
                refs.join(" or ")
            );
            (found, file)
        }
    };
    match file {
        Some(file) if node.uid != 0 && can_change(file) => Finding::warn(
            check,
            format!(
                "{found}, but this user can write {}: so can every job of the runner",
                shown(file)
            ),
        )
        .fix(out_of_reach(file)),
        _ => Finding::ok(check, found),
    }
}

/// Whom the attestations are believed that `verify` asks for; none where it asks for
/// none.
pub(super) fn trusted_root(plan: &Plan) -> Option<Finding> {
    let check = "trusted-root";
    let verify = plan.verify.clone()?;
    let Verify::Workflow(policy) = &verify else {
        return None;
    };
    let (what, date) = match &policy.trusted_root {
        None => (
            "the one that came with deploy".to_owned(),
            EMBEDDED.parse().ok(),
        ),
        Some(file) => {
            let changed = file.path.metadata().and_then(|found| found.modified());
            let changed = changed.ok().and_then(|at| Timestamp::try_from(at).ok());
            let date = changed.map(|at| at.to_zoned(TimeZone::UTC).date());
            (shown(&file.path), date)
        }
    };
    if let Err(error) = Prover::new(verify) {
        return Some(Finding::failed(check, &error));
    }
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let days = date.and_then(|date| Some(today.since(date).ok()?.get_days()));
    let found = match (date, days) {
        (Some(date), Some(days)) => format!("{what}, of {date}, {days} days ago"),
        _ => format!("{what}, of an unknown date"),
    };
    let is_old = days.is_none_or(|days| days > ROOT_DAYS);
    Some(if is_old {
        Finding::warn(
            check,
            format!("{found}: GitHub's changes about every half year"),
        )
        .fix("renew it as root: gh attestation trusted-root > /etc/deploy/trusted_root.jsonl")
    } else {
        Finding::ok(check, found)
    })
}

/// Where lock and journal lie.
pub(super) fn state(node: &Node, environment: &Environment, plan: &Plan) -> Finding {
    let check = "state";
    match state::directory(environment, node.uid, &node.accounts, &node.cwd) {
        Err(error) => return Finding::failed(check, &error),
        Ok(state::Directory {
            warning: Some(warning),
            ..
        }) => {
            let (found, fix) = warning.split_once("; ").unwrap_or((&warning, ""));
            return Finding::warn(check, found).fix(fix);
        }
        Ok(_) => {}
    }
    let name = shown(&plan.state);
    if !plan.state.is_dir() {
        return Finding::ok(check, format!("{name} will be made"));
    }
    match room(&plan.state) {
        Ok(()) => Finding::ok(check, name),
        Err(error) => Finding::warn(
            check,
            format!("{name} takes no file ({error}): a deploy goes on without its journal"),
        )
        .fix("make room there, or take the read-only mount away"),
    }
}

/// Where the app's images were found when its chart was last proved; none where
/// no run tells.
pub(super) fn layout(plan: &Plan) -> Option<Finding> {
    let app = plan.request.app.to_string();
    let fits = |entry: &journal::Entry| entry.request.app == app && !entry.layout.is_empty();
    let last = journal::read(&plan.state, 1, fits).ok()?.pop()?;
    let found = format!(
        "{}; as run {} found them in version {} of the chart",
        last.layout.join("; "),
        last.run,
        last.request.version
    );
    Some(Finding::ok("images", found))
}

/// Whether signals are taken, and whether this user can take a freeze away.
pub(super) fn freeze(plan: &Plan, uid: u32) -> Finding {
    let check = "freeze";
    let found = match state::freeze::of(&plan.freezes, &plan.request.app, crate::run::now()) {
        Err(error) => return Finding::failed(check, &error),
        Ok(found) => found,
    };
    let operators = Path::new(state::freeze::OPERATORS);
    let open = uid != 0 && can_change(&operators.join("freeze.json"));
    if let Some(freeze) = found.first() {
        return Finding::warn(check, freeze.line())
            .fix("end it once it has served: deploy unfreeze");
    }
    if open {
        let found = format!(
            "this user can write {}: so can every job of the runner, which can end any freeze",
            shown(operators)
        );
        return Finding::warn(check, found).fix(format!(
            "as root: chown root: {0} && chmod 755 {0}",
            shown(operators)
        ));
    }
    Finding::ok(
        check,
        format!(
            "signals are taken; a freeze of root's lies in {}, where no job of the runner can end it, one of this user's in {}, where each can",
            shown(operators),
            shown(&plan.state)
        ),
    )
}

fn room(folder: &Path) -> std::io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&vec![0; ROOM])?;
    file.sync_all()
}

/// Whether this user can change the file, or put another in its place.
fn can_change(file: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let is_writable = |path: &Path| accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
    is_writable(file) || file.parent().is_some_and(is_writable)
}

fn shown(path: &Path) -> String {
    text::line(&path.to_string_lossy(), 500).into_owned()
}
