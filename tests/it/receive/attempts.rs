//! What a hostile job of the runner's user tries, and how it ends: against a script of
//! the kind that `deploy` replaces, against a direct deploy and against the receiver.
//!
//! docs/security.md has the counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use testbed::image::Spec;

use super::flood::{as_runner, flood};
use super::forged::forged;
use super::issuer::Issuer;
use super::{LIVES, Receiver, Site};
use crate::harness::process::descendants;
use crate::harness::{Node, Running, Signal, until};

/// Where the jobs of the node run, and what signals go to.
pub enum Ground {
    /// A script in the runner's home, which runs helm.
    Script(Node),
    /// `deploy` in the runner's home, with `callers`.
    Direct(Node, Issuer),
    /// `deploy receive`, with `callers`.
    Receiver(Site, Issuer, Receiver),
}

/// The kinds of attempts, as docs/security.md names them.
pub const KINDS: [&str; 6] = [
    "read the kubeconfig, the registry's login, values, settings, journal, evidence, another's run",
    "look into the process that deploys, end it, put a program or a library into it",
    "take away what signals go to; a symlink or a FIFO beside it",
    "smuggle a path, a chart of its own or a value through app, chart and images",
    "deploy with a token that proves nothing, or with none",
    "keep good signals out: a flood, slow and half-open connections",
];

/// Which attempts of each kind succeeded, by name.
pub type Results = Vec<BTreeMap<&'static str, bool>>;

/// Reads of the node's own files, in a shell.
const READS: [(&str, &str); 7] = [
    ("kubeconfig", "cat $KUBECONFIG"),
    ("login", "cat $LOGIN"),
    ("values", "cat $VALUES"),
    ("settings", "cat $SETTINGS"),
    ("journal", "cat $STATE/journal.jsonl"),
    ("evidence", "cat $STATE/evidence/x"),
    ("another's run", "$RUN"),
];

/// What reaches into the process that deploys.
const TRACES: [(&str, &str); 3] = [
    ("its environment", "cat /proc/$PID/environ"),
    ("its memory", "cat /proc/$PID/maps"),
    ("its files", "ls /proc/$PID/fd"),
];

/// Games at the place that signals go to.
const PLACES: [(&str, &str); 3] = [
    ("away with it", "mv $PLACE $PLACE.x && mv $PLACE.x $PLACE"),
    ("a symlink", "ln -s /etc/shadow $FOLDER/x && rm $FOLDER/x"),
    ("a FIFO", "mkfifo $FOLDER/x && rm $FOLDER/x"),
];

/// A program of the job's own in helm's place, which notes that it ran.
const HELM: &str = "#!/bin/sh\n: > /home/github-runner/own/ran\nexec /usr/local/bin/helm \"$@\"\n";

/// A library that neither bash nor `deploy` needs.
const LIBRARY: &str = "librt.so.1";

impl Ground {
    pub fn node(&self) -> &Node {
        match self {
            Self::Script(node) | Self::Direct(node, _) => node,
            Self::Receiver(site, ..) => &site.node,
        }
    }

    fn issuer(&self) -> Option<&Issuer> {
        match self {
            Self::Script(_) => None,
            Self::Direct(_, issuer) | Self::Receiver(_, issuer, _) => Some(issuer),
        }
    }

    /// All attempts, each with whether it succeeded. Good signals are served before
    /// and, at the receiver, meanwhile.
    pub fn try_all(&self) -> Results {
        let node = self.node();
        node.home.write("own/helm", HELM, 0o755);
        node.home.write(
            "own/chart/Chart.yaml",
            "apiVersion: v2\nname: own\nversion: 1.0.0\n",
            0o644,
        );
        node.home.write(
            "own/chart/templates/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n",
            0o644,
        );
        node.shop("0.1.0");
        let audience = self.audience_of("t1");
        let first = self.issuer().map(|issuer| issuer.token(&audience, "first"));
        self.signal("t1", first.as_deref())
            .env(
                "PATH",
                "/home/github-runner/own:/usr/local/bin:/usr/bin:/bin",
            )
            .env("LD_PRELOAD", LIBRARY)
            .run()
            .exits(0);
        let mut reaches = BTreeMap::new();
        reaches.insert("a program of its own", node.home.inside("own/ran").exists());
        let tokens = self.tokens(&audience, first.as_deref());

        let floods = self.floods();
        let at_work = self.at_work();
        let reads = self.shells(&READS, 0);
        let pid = self.deploys(&at_work);
        reaches.extend(self.shells(&TRACES, pid));
        reaches.insert("a library of its own", has_library(pid));
        let places = self.shells(&PLACES, pid);
        reaches.extend(self.shells(&[("its end", "kill -KILL $PID")], pid));
        if matches!(self, Self::Receiver(..)) {
            at_work.signal(rustix::process::Signal::INT);
        }
        let _ = at_work.wait();
        vec![reads, reaches, places, self.smuggled(), tokens, floods]
    }

    /// What a token has to be for: the signal of [`Self::signal`] with this tag.
    fn audience_of(&self, tag: &str) -> String {
        let node = self.node();
        let image = |key: &str| {
            format!(
                "ghcr.io/{}/shop/{key}:{}",
                node.name,
                if key == "api" { tag } else { "t1" }
            )
        };
        let images = json!({ "api": image("api"), "web": image("web") }).to_string();
        let chart = format!("oci://ghcr.io/{}/charts/shop", node.name);
        let words = ["audience", "--app", &node.name, "--chart", &chart];
        let more = ["--chart-version", "0.1.0", "--images", &images];
        if matches!(self, Self::Script(_)) {
            return "deploy:0".to_owned();
        }
        let printed = node.subcommand(&[&words[..], &more].concat());
        printed.exits(0).stdout.trim().to_owned()
    }

    fn signal(&self, tag: &str, token: Option<&str>) -> Signal<'_> {
        let node = self.node();
        let (api, web) = (node.image("api", tag), node.image("web", "t1"));
        let signal = node
            .signal("0.1.0")
            .image("api", api.by_tag())
            .image("web", web.by_tag());
        match token {
            Some(token) => signal.env("DEPLOY_TOKEN", token),
            None => signal,
        }
    }

    /// A deploy that waits for pods which never are Ready.
    fn at_work(&self) -> Running {
        let node = self.node();
        let stuck = Spec::behaving("unready the database is down");
        node.image_with("api", "stuck", stuck);
        let token = self
            .issuer()
            .map(|issuer| issuer.token(&self.audience_of("stuck"), "stuck"));
        let web = node.image("web", "t1");
        let api = format!("ghcr.io/{}/shop/api:stuck", node.name);
        let signal = node
            .signal("0.1.0")
            .image("api", api)
            .image("web", web.by_tag());
        let signal = match token {
            Some(token) => signal.env("DEPLOY_TOKEN", &token),
            None => signal,
        };
        let running = signal.env("LD_PRELOAD", LIBRARY).start();
        match self {
            Self::Script(_) => until("helm waits", || node.status().starts_with("pending")),
            _ => until("the upgrade is rolled out", || node.is_rolling_out()),
        }
        running
    }

    /// The process that deploys.
    fn deploys(&self, at_work: &Running) -> u32 {
        match self {
            Self::Receiver(_, _, receiver) => descendants(receiver.0.id())[0],
            _ => at_work.pid(),
        }
    }

    /// Scripts of the runner's shell, which succeed with 0.
    fn shells(&self, all: &[(&'static str, &str)], pid: u32) -> BTreeMap<&'static str, bool> {
        let home = "/home/github-runner";
        let deploy = format!("{home}/deploy.sh");
        let (lives, state, settings, run, place, folder) = match self {
            Self::Script(_) => (
                home,
                "/nowhere",
                "/nowhere",
                "false".to_owned(),
                &*deploy,
                home,
            ),
            Self::Direct(node, _) => {
                let run = node.journal()[0]["run"].as_str().unwrap().to_owned();
                let run = format!("{deploy} show {run}");
                let state = "/home/github-runner/.local/state/deploy";
                (home, state, "/etc/deploy/deploy.toml", run, &*deploy, home)
            }
            Self::Receiver(site, ..) => {
                let run = site.journal()[0]["run"].as_str().unwrap().to_owned();
                let run = format!("DEPLOY_STATE_DIR={LIVES}/state {deploy} show {run}");
                let state = "/var/lib/receiver/state";
                let socket = "/var/lib/receiver/deploy.sock";
                (LIVES, state, "/etc/deploy/receive.toml", run, socket, LIVES)
            }
        };
        let app = &self.node().name;
        let set = format!(
            "KUBECONFIG={lives}/.kube/config LOGIN={lives}/.config/helm/registry/config.json \
             VALUES={lives}/{app}.values.yaml STATE={state} SETTINGS={settings} PLACE={place} \
             FOLDER={folder} PID={pid}"
        );
        all.iter()
            .map(|(name, script)| {
                let script = script.replace("$RUN", &run);
                let ran = self.node().shell(&format!("{set}; {script}"));
                (*name, ran.status.success())
            })
            .collect()
    }

    /// Signals with something else in them than what the contract names.
    fn smuggled(&self) -> BTreeMap<&'static str, bool> {
        let node = self.node();
        let other = format!("{}-x", node.name);
        let chart = format!("oci://ghcr.io/{}/charts/shop", node.name);
        let image = |key: &str| format!("ghcr.io/{}/shop/{key}:t1", node.name);
        let (api, web) = (image("api"), image("web"));
        let send = |app: &str, chart: &str, version: &str, api: &str| {
            let images = json!({ "api": api, "web": web }).to_string();
            let words = format!(
                "/home/github-runner/deploy.sh --app '{app}' --chart '{chart}' --chart-version '{version}' --images '{images}'"
            );
            node.shell(&words).status.success()
        };
        let results = [
            ("app", send("../../etc", &chart, "0.1.0", &api)),
            (
                "chart",
                send(&other, "/home/github-runner/own/chart", "1.0.0", &api),
            ),
            (
                "images",
                send(&other, &chart, "0.1.0", &format!("{api},api.replicas=2")),
            ),
        ];
        node.clear(&format!("namespace/{other}"));
        results.into()
    }

    /// Signals with tokens that prove nothing for them.
    fn tokens(&self, audience: &str, used: Option<&str>) -> BTreeMap<&'static str, bool> {
        let stand_in = self.issuer().is_none().then(Issuer::start);
        let Some(issuer) = self.issuer().or(stand_in.as_ref()) else {
            unreachable!("one of them is there");
        };
        let all = forged(issuer, audience, used.unwrap_or_default());
        if let Self::Script(node) = self {
            // It looks at none: what one comes to, all do.
            let script = std::fs::read_to_string(node.home.inside("deploy.sh")).unwrap();
            assert!(!script.contains("TOKEN"));
            let ran = self.signal("t1", Some(&all[2].1)).run();
            let deployed = ran.status.success();
            return all.into_iter().map(|(name, _)| (name, deployed)).collect();
        }
        all.into_iter()
            .map(|(name, token)| {
                let token = (!token.is_empty()).then_some(token);
                let ran = self.signal("t1", token.as_deref()).run();
                assert!(
                    [0, 4].contains(&ran.status.code().unwrap()),
                    "{name}: {}",
                    ran.told()
                );
                (name, ran.status.success())
            })
            .collect()
    }

    /// Connections without end, while a good signal is sent: those that say nothing
    /// whole, slow ones, and bodies without end, more than one user may have.
    fn floods(&self) -> BTreeMap<&'static str, bool> {
        let names = ["half-open", "slow", "a flood"];
        let Self::Receiver(site, issuer, _) = self else {
            // There is nothing to connect to.
            return names.map(|name| (name, false)).into();
        };
        let socket = site.inside("deploy.sock");
        let audience = self.audience_of("t1");
        let results = names.map(|name| {
            let stop = AtomicBool::new(false);
            let served = std::thread::scope(|scope| {
                let floods: Vec<_> = (0..4)
                    .map(|_| scope.spawn(|| as_runner(|| flood(name, &socket, &stop))))
                    .collect();
                let token = issuer.token(&audience, name);
                let ran = self.signal("t1", Some(&token)).run();
                stop.store(true, Ordering::Relaxed);
                let connections: u32 = floods.into_iter().map(|one| one.join().unwrap()).sum();
                assert!(connections > 64, "{name}: {connections}");
                ran.status.success()
            });
            (name, !served)
        });
        results.into()
    }
}

/// Whether this process has the library of the job's own.
fn has_library(pid: u32) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.contains(LIBRARY)
}
