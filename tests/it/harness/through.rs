//! The scenarios of the Helm path through `deploy receive`: with
//! `DEPLOY_THROUGH_RECEIVER` (`cargo testbed soak --through-receiver`) each signal goes
//! to a receiver of its own, which has the scenario's settings and state, and the
//! runner's deploy.toml only forwards. Each comes with a token, as `callers` of the
//! receiver asks for.
//!
//! Client and receiver are one user here: what another user gains is for
//! [`crate::receive`]. What the scenarios look for is the same: what runs, the
//! release's records, the journal, exit codes, what the caller is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};

use super::process::descendants;
use super::{Node, RUNNER, deploy_binary, until};
use crate::receive::issuer::{MODULUS, claims, head, signed};

/// Who issues the tokens; its keys are kept, so that it is never asked.
const ISSUER: &str = "https://issuer.invalid";

/// Scenarios that mean nothing through a receiver, by the start of their names, and
/// why. Their signals are sent directly then.
pub const DIRECT: [(&str, &str); 6] = [
    (
        "rollback::a_rollback_that_is_cancelled_is_settled",
        "it looks for the words of the process that settles; a cancelled client has its own",
    ),
    (
        "deploys::worker_and_migration",
        "it looks for where each image stands in the chart, which no event carries",
    ),
    (
        "journal::a_journal_that_cannot_be_written",
        "it is about the state directory of the process that is called",
    ),
    (
        "cancel::a_second_signal_only_hurries",
        "a client in a hurry leaves before the receiver has settled, which goes on",
    ),
    (
        "chaos::cancelled_at_random_instants",
        "it holds the client's end against its own line: one that is cancelled before it has sent has none at the receiver",
    ),
    (
        "lease::a_deploy_that_is_stopped",
        "it stops the process that is called, which does not deploy then",
    ),
];

/// Keys of deploy.toml that a node which forwards has as well: they say which signals
/// are good ones.
const OF_THE_SIGNAL: [&str; 6] = [
    "owners",
    "events",
    "chart",
    "images",
    "required",
    "inherit_env",
];

/// Whether signals go through a receiver.
pub fn is_on() -> bool {
    std::env::var_os("DEPLOY_THROUGH_RECEIVER").is_some()
}

/// The code of a cancel in the receiver's journal: which UNIX signal the client got is
/// not told to it.
pub fn cancelled(code: u8) -> u8 {
    let through = is_on() && !scenario_is_direct();
    if through { 143 } else { code }
}

/// Whether this scenario, whose name its thread has, sends its signals directly.
fn scenario_is_direct() -> bool {
    let thread = std::thread::current();
    let scenario = thread.name().unwrap_or_default();
    DIRECT.iter().any(|(start, _)| scenario.starts_with(start))
}

/// A receiver for one signal, and how its client is called.
pub struct Receiver {
    process: Child,
    /// What the client finds at which place.
    pub binds: String,
    /// The token for the signal, where it is one.
    pub token: Option<String>,
    in_step: bool,
}

/// A number of its own.
fn next() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// What a signal is called with, as far as it matters here.
pub struct Call<'a> {
    pub node: &'a Node,
    pub user: u32,
    pub cwd: &'a str,
    pub args: &'a [String],
    pub env: &'a [(String, String)],
    pub in_step: bool,
}

impl Call<'_> {
    /// A receiver for this call; none where it goes directly.
    pub fn receiver(&self) -> Option<Receiver> {
        if !is_on() || self.is_direct() {
            return None;
        }
        let number = next();
        let home = &self.node.home;
        let (settings, at) = self.settings()?;
        let lives = home.var_lib(&format!("receiver-{number}"));
        make(&lives, self.user, 0o755);
        let socket = format!("/var/lib/receiver-{number}/deploy.sock");

        // The receiver's settings, beside the scenario's.
        let beside = format!("receive-{number}.toml");
        let (inside, seen) = if at.starts_with(home.etc("")) {
            (
                home.etc("deploy").join(&beside),
                format!("/etc/deploy/{beside}"),
            )
        } else {
            (
                home.inside(&beside),
                format!("/home/github-runner/{beside}"),
            )
        };
        write_as(&inside, &self.receives(settings.clone()), &at);

        // The client's, and a state directory of its own.
        let own = home.shared(&format!("client-{number}"));
        let etc = own.join("etc");
        fs::create_dir_all(&etc).unwrap();
        fs::write(etc.join("deploy.toml"), Self::forwards(&settings, &socket)).unwrap();
        let state = own.join("state");
        make(&state, self.user, 0o700);
        let kept = self.state();
        let token = self.token();
        let binds = format!("{} /etc/deploy\n{} {kept}", etc.display(), state.display());

        let mut command = home.command(
            deploy_binary(),
            Some(self.node.helm.path()),
            self.user,
            self.cwd,
        );
        let words = [
            "/usr/local/bin/deploy",
            "receive",
            "--config",
            &seen,
            "--listen",
        ];
        command.args(words).arg(format!("unix:{socket}"));
        command.envs(&self.node.env).envs(self.given());
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let receiver = Receiver {
            process,
            binds,
            token,
            in_step: self.in_step,
        };
        until("the receiver listens", || {
            UnixStream::connect(lives.join("deploy.sock")).is_ok()
        });
        Some(receiver)
    }

    /// Whether a receiver would change what the scenario is about.
    fn is_direct(&self) -> bool {
        // A dry run is not forwarded, and another deploy.toml is a person's.
        let looks = self.args.iter().any(|arg| arg == "--dry-run");
        let is_elsewhere = self.env.iter().any(|(name, _)| name == "DEPLOY_CONFIG");
        scenario_is_direct() || looks || is_elsewhere
    }

    /// The scenario's settings and where they lie; none where they forward already or
    /// are not TOML.
    fn settings(&self) -> Option<(Map<String, Value>, PathBuf)> {
        let home = &self.node.home;
        let places = [home.etc("deploy/deploy.toml"), home.inside("deploy.toml")];
        let Some(at) = places.into_iter().find(|place| place.exists()) else {
            return Some((Map::new(), home.etc("deploy")));
        };
        let text = fs::read_to_string(&at).unwrap();
        let settings: Map<String, Value> = toml::from_str(&text).ok()?;
        (!text.contains("forward =")).then_some((settings, at))
    }

    /// The settings of a receiver that takes this user's signals.
    fn receives(&self, mut settings: Map<String, Value>) -> String {
        let app = &self.node.name;
        let values = format!("{app}.values.yaml");
        let apps = settings.entry("apps").or_insert_with(|| json!({}));
        // It has no script, beside which values files would lie.
        if self.node.home.inside(&values).exists() {
            let apps = apps.as_object_mut().unwrap();
            let own = apps.entry(app.clone()).or_insert_with(|| json!({}));
            let own = own.as_object_mut().unwrap();
            own.entry("values")
                .or_insert_with(|| json!([format!("/home/github-runner/{values}")]));
        }
        let defaults = settings.entry("defaults").or_insert_with(|| json!({}));
        let defaults = defaults.as_object_mut().unwrap();
        defaults.insert("callers".to_owned(), json!([{ "repository_id": "74" }]));
        defaults.insert("token_issuer".to_owned(), json!(ISSUER));
        settings.insert(
            "receive".to_owned(),
            json!({ "allow_users": [RUNNER.to_string()] }),
        );
        written(&settings)
    }

    /// The settings of a node that forwards: which signals are good ones, and the socket.
    fn forwards(settings: &Map<String, Value>, socket: &str) -> String {
        let kept = |table: Option<&Value>| -> Map<String, Value> {
            let keys = table.and_then(Value::as_object).into_iter().flatten();
            keys.filter(|(key, _)| OF_THE_SIGNAL.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        let mut defaults = kept(settings.get("defaults"));
        defaults.insert("forward".to_owned(), json!(format!("unix:{socket}")));
        // The receiver's own decides: a rollback comes behind it.
        defaults.insert("timeout".to_owned(), json!("30m"));
        let apps = settings.get("apps").and_then(Value::as_object);
        let apps: Map<String, Value> = apps
            .into_iter()
            .flatten()
            .map(|(app, own)| (app.clone(), Value::Object(kept(Some(own)))))
            .collect();
        let all = json!({ "defaults": defaults, "apps": apps });
        written(all.as_object().unwrap())
    }

    /// Where the scenario's state lies, as the node sees it. It has the issuer's keys.
    fn state(&self) -> String {
        let home = &self.node.home;
        let (state, seen) = if self.user == 0 || home.var_lib("deploy").exists() {
            make(&home.var_lib("deploy"), self.user, 0o700);
            (home.var_lib("deploy"), "/var/lib/deploy")
        } else {
            for part in [".local", ".local/state", ".local/state/deploy"] {
                make(&home.inside(part), self.user, 0o700);
            }
            let own = home.inside(".local/state/deploy");
            (own, "/home/github-runner/.local/state/deploy")
        };
        make(&state.join("tokens"), self.user, 0o700);
        let keys = state.join("tokens/keys.json");
        if !keys.exists() {
            let kept = json!({
                "issuer": ISSUER, "asked": jiff::Timestamp::now().as_second(),
                "keys": [{ "kid": "k1", "kty": "RSA", "n": MODULUS, "e": "AQAB" }],
            });
            fs::write(&keys, kept.to_string()).unwrap();
            chown(&keys, Some(self.user), Some(self.user)).unwrap();
        }
        seen.to_owned()
    }

    /// A token for the signal, of a repository whose logs may be shown where the direct
    /// deploy shows them: by hand, and where the event says so.
    fn token(&self) -> Option<String> {
        let words = ["/home/github-runner/deploy.sh", "audience"];
        let mut command =
            self.node
                .home
                .command(deploy_binary(), None, RUNNER, "/home/github-runner");
        command.args(words).args(self.args).envs(&self.node.env);
        let printed = command.output().unwrap();
        if !printed.status.success() {
            return None;
        }
        let audience = String::from_utf8(printed.stdout).unwrap();
        let jti = format!("{}-{}", std::process::id(), next());
        let mut claims = claims(ISSUER, audience.trim(), &jti, "github-hosted");
        let said = |name: &str| {
            let found = self.env.iter().rfind(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let payload = said("GITHUB_EVENT_PATH")
            .and_then(|path| path.strip_prefix("/home/github-runner/"))
            .and_then(|path| fs::read_to_string(self.node.home.inside(path)).ok());
        let payload: Value = payload
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let is_private = said("GITHUB_ACTIONS") != Some("true")
            || payload["repository"]["private"] == json!(true);
        let visibility = if is_private { "private" } else { "public" };
        claims["repository_visibility"] = visibility.into();
        Some(signed(&head(), &claims))
    }

    /// What of the call's environment is the node's: a workflow's never comes so far.
    fn given(&self) -> impl Iterator<Item = (&String, &String)> {
        let in_step = self.env.iter().any(|(name, _)| name == "GITHUB_ACTIONS");
        let given = self.env.iter().map(|(name, value)| (name, value));
        given.filter(move |(name, _)| !in_step || is_budget(name))
    }
}

/// Whether it is the budget of the old script's, which counts where Helm runs.
pub fn is_budget(name: &str) -> bool {
    ["DEPLOY_TIMEOUT", "DEPLOY_ATOMIC"].contains(&name)
}

impl Receiver {
    /// The process of the deploy, or of the receiver where a step has a shell.
    pub fn pid(&self) -> u32 {
        let own = self.process.id();
        if self.in_step {
            return own;
        }
        let mut found = None;
        until("the receiver has begun the deploy", || {
            found = descendants(own).first().copied();
            found.is_some()
        });
        found.unwrap_or(own)
    }

    /// Its client has ended: so does it, after the deploys that it took.
    pub fn stop(mut self) {
        if self.process.try_wait().unwrap().is_none() {
            let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

/// How a client finds its settings and its state.
pub fn bind(command: &mut Command, receiver: &Receiver, env: &[(String, String)]) {
    let own = env.iter().find(|(name, _)| name == "BINDS");
    let own = own.map_or(String::new(), |(_, binds)| format!("{binds}\n"));
    command.env("BINDS", own + &receiver.binds);
    if let Some(token) = &receiver.token {
        command.env("DEPLOY_TOKEN", token);
    }
}

fn make(folder: &Path, user: u32, mode: u32) {
    if !folder.exists() {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
        chown(folder, Some(user), Some(user)).unwrap();
    }
}

/// Writes a file with owner and mode of another, or of a folder for root's.
fn write_as(path: &Path, text: &str, like: &Path) {
    fs::write(path, text).unwrap();
    if like.is_file() {
        let about = like.metadata().unwrap();
        fs::set_permissions(path, Permissions::from_mode(about.mode() & 0o7777)).unwrap();
        chown(path, Some(about.uid()), Some(about.gid())).unwrap();
    }
}

/// Settings as TOML.
fn written(settings: &Map<String, Value>) -> String {
    let lines = settings.iter();
    lines.fold(String::new(), |text, (key, value)| {
        text + &format!("{} = {}\n", json!(key), inline(value))
    })
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{} = {}", json!(key), inline(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(inline).collect();
            format!("[{}]", list.join(", "))
        }
        other => other.to_string(),
    }
}
