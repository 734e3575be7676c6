//! Kills and cancels at random instants of the whole pipeline, hooks and
//! rollbacks included: the next signal deploys what it asks for, nothing is
//! lost, and no hand is needed.
//!
//! `cargo test` goes through a few that are always the same; `DEPLOY_SOAK=50` runs so
//! many instants of each kind with each Helm, by `DEPLOY_SOAK_SEED`.

#![expect(
    clippy::print_stdout,
    reason = "an instant that fails is named, so that it can be repeated"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use testbed::chart::Chart;

use crate::crash::{chart, one_migration_at_a_time};
use crate::harness::process::{Victim, descendants, helms_that_write};
use crate::harness::soak::{self, Dice};
use crate::harness::{Node, Running, Signal as Sent, on_both_helms, through};

/// What the runner leaves a cancelled step before it kills.
const SETTLED: Duration = Duration::from_secs(7);

/// The most that a good signal takes, more or less.
const GOOD: Duration = Duration::from_secs(8);

/// How many instants one namespace sees, the first of them in a first install.
const LIFE: u64 = 5;

/// What a signal comes to where nothing is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It serves.
    Good,
    /// A Secret is missing: it is rolled back.
    Doomed,
}

/// A namespace with a claim that holds data, and all that happened there.
struct Life {
    node: Node,
    log: PathBuf,
    store: PathBuf,
    /// How many signals were sent.
    signals: u32,
    /// How long a good one takes; in `cargo test` the same each time.
    good: Duration,
    /// The uid of everything that may never be deleted, once it was seen.
    uids: BTreeMap<String, String>,
}

const CLAIM: &str = r#"apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .Release.Name }}-data
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  volumeName: {{ .Release.Name }}
  resources: {requests: {storage: 1Mi}}
"#;

/// The chart of `crash`, whose web keeps its data in a claim.
fn with_claim(chart: Chart, doomed: bool) -> Chart {
    let folder = tempfile::tempdir().unwrap();
    let written = chart.write(folder.path()).unwrap();
    let read = |path: &str| std::fs::read_to_string(written.join(path)).unwrap();
    let web = read("templates/web.yaml")
        .replace(
            "        - name: web\n",
            "        - name: web\n          volumeMounts: [{name: store, mountPath: /store}]\n",
        )
        .replace(
            "      containers:\n",
            "      volumes: [{name: store, persistentVolumeClaim: {claimName: {{ .Release.Name }}-data}}]\n      containers:\n",
        );
    let api = read("templates/api.yaml");
    let chart = chart
        .with("templates/claim.yaml", CLAIM)
        .with("templates/web.yaml", &web);
    if !doomed {
        return chart;
    }
    let needs = "        - name: api\n          envFrom: [{secretRef: {name: missing}}]\n";
    chart.with(
        "templates/api.yaml",
        &api.replace("        - name: api\n", needs),
    )
}

impl Life {
    fn begin(mut node: Node) -> Self {
        node.home.write("tmp/.keep", "", 0o600);
        let tmp = "/home/github-runner/tmp".to_owned();
        node.env.insert("TMPDIR".to_owned(), tmp);
        let data = node.home.shared("data");
        let store = node.home.shared("store");
        std::fs::write(store.join("kept"), "the users").unwrap();
        let folder = data.to_str().unwrap();
        node.push(&with_claim(chart("0.1.0", folder, 1500), false));
        node.push(&with_claim(chart("0.2.0", folder, 1500), true));
        let volume = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": { "name": node.name },
            "spec": {
                "capacity": { "storage": "1Mi" },
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "hostPath": { "path": store },
                "claimRef": { "namespace": node.name, "name": format!("{}-data", node.name) },
            },
        });
        node.home.write("volume.json", &volume.to_string(), 0o644);
        let file = node.home.inside("volume.json");
        node.kubectl(&["apply", "--filename", file.to_str().unwrap()]);
        Self {
            log: data.join("log"),
            store,
            node,
            signals: 0,
            good: GOOD,
            uids: BTreeMap::new(),
        }
    }

    /// The next signal, and the images that it asks for.
    fn signal(&mut self, fate: Fate) -> (Sent<'_>, [String; 2]) {
        self.signals += 1;
        let tag = format!("t{}", self.signals);
        let images = [self.node.image("api", &tag), self.node.image("web", "t1")];
        let [api, web] = images.map(|image| image.by_tag());
        let version = match fate {
            Fate::Good => "0.1.0",
            Fate::Doomed => "0.2.0",
        };
        let signal = self
            .node
            .signal(version)
            .image("api", &api)
            .image("web", &web);
        (signal, [api, web])
    }

    /// An instant of a signal with this fate.
    fn instant(&self, fate: Fate, dice: &mut Dice) -> Duration {
        let whole = match fate {
            Fate::Good => self.good,
            Fate::Doomed => self.good * 3 / 2,
        };
        Duration::from_millis(dice.below(u64::try_from(whole.as_millis()).unwrap()))
    }

    /// The next signal deploys what it asks for, and all is as it must be.
    fn converges(&mut self) {
        let (signal, images) = self.signal(Fate::Good);
        let ran = signal.run();
        ran.exits(0);
        if soak::is_on() {
            // One that had to wait for the testbed says nothing of the next.
            self.good = ran.took.min(GOOD);
        }
        let told = ran.told();
        self.node.runs(&images);
        assert_eq!(self.node.status(), "deployed", "{told}");
        let log = std::fs::read_to_string(&self.log).unwrap();
        assert!(log.contains("seed"), "the install's hook never ran:\n{log}");
        one_migration_at_a_time(&log);
        assert_eq!(helms_that_write(&self.node.name), [0; 0], "{told}");
        self.nothing_is_lost();
        let left = std::fs::read_dir(self.node.home.inside("tmp"))
            .unwrap()
            .count();
        assert_eq!(left, 1, "what a killed run left is swept");
    }

    /// No claim, no volume and no workload was deleted, not even to be made anew.
    fn nothing_is_lost(&mut self) {
        let kept = std::fs::read_to_string(self.store.join("kept")).unwrap();
        assert_eq!(kept, "the users");
        let columns = "custom-columns=A:.kind,B:.metadata.name,C:.metadata.uid";
        let listed = self
            .node
            .kubectl(&["get", "deployments,pvc", "--no-headers", "-o", columns]);
        for line in listed.lines() {
            let (name, uid) = line.trim().rsplit_once(' ').unwrap();
            let first = self
                .uids
                .entry(name.trim().to_owned())
                .or_insert_with(|| uid.to_owned());
            assert_eq!(first, uid, "{name} was made anew");
        }
        assert_eq!(listed.lines().count(), self.uids.len(), "{listed}");
        assert_eq!(self.uids.len(), 3, "{listed}");
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.node.clear(&format!("pv/{}", self.node.name));
    }
}

/// Kills what is there of it at this very moment.
fn strike(running: &Running, victim: Victim) {
    let shell = running.pid();
    let below = descendants(shell);
    let named = |pid: &&u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "helm")
    };
    let helm = below.iter().find(named).copied();
    let deploy = below.first().copied().filter(|pid| Some(*pid) != helm);
    victim.kill(shell, deploy, helm);
}

on_both_helms! {
    fn killed_at_random_instants(node) {
        let mut dice = Dice::new("killed", node.helm);
        let helm = node.helm;
        let mut life = Life::begin(node);
        for at in 0..soak::rounds().unwrap_or(LIFE) {
            if at > 0 && at % LIFE == 0 {
                life = Life::begin(Node::new("chaos", helm));
            }
            let fate = if at % LIFE == 0 { Fate::Good } else { dice.of(&[Fate::Good, Fate::Doomed]) };
            let victim = dice.of(&[Victim::Deploy, Victim::Helm, Victim::Both, Victim::Session]);
            let instant = life.instant(fate, &mut dice);
            println!("{at}: {victim:?} of a {fate:?} signal after {instant:?}");
            let before = life.node.records();
            let (signal, _) = life.signal(fate);
            let running = signal.in_step().start();
            std::thread::sleep(instant);
            strike(&running, victim);
            let ran = running.wait();
            println!("{at}: {} at {:?} of a release that was {before:?}", ran.status, ran.took);
            life.converges();
        }
    }
}

/// Cancels as GitHub's runner does; gives how long the rest took from the moment
/// that `deploy` could learn of it.
fn cancel(mut running: Running, in_step: bool) -> (crate::harness::Ran, Duration) {
    let sent = Instant::now();
    running.signal(Signal::INT);
    if running.ends_within(Duration::from_millis(7500)) {
        // The shell waited for what ended by itself, and never passed it on.
        let settled = if in_step {
            Duration::ZERO
        } else {
            sent.elapsed()
        };
        return (running.wait(), settled);
    }
    // A shell that waits for its child hears of it only now, and dies of it.
    let told = Instant::now();
    running.signal(Signal::TERM);
    if !running.ends_within(Duration::from_millis(2500)) {
        running.signal(Signal::KILL);
    }
    let ran = running.wait();
    (ran, if in_step { told } else { sent }.elapsed())
}

on_both_helms! {
    fn cancelled_at_random_instants(node) {
        let mut dice = Dice::new("cancelled", node.helm);
        let mut life = Life::begin(node);
        life.converges();
        let mut slowest = Duration::ZERO;
        for at in 0..soak::rounds().unwrap_or(3) {
            let fate = dice.of(&[Fate::Good, Fate::Doomed]);
            let in_step = dice.below(3) == 0;
            let instant = life.instant(fate, &mut dice);
            println!("{at}: a {fate:?} signal after {instant:?}, in a step: {in_step}");
            let lines = life.node.journal().len();
            let (signal, _) = life.signal(fate);
            let running = if in_step { signal.in_step() } else { signal }.start();
            std::thread::sleep(instant);
            let (ran, settled) = cancel(running, in_step);
            assert!(settled < SETTLED, "{settled:?}\n{}", ran.told());
            slowest = slowest.max(settled);
            let status = life.node.status();
            assert!(!status.starts_with("pending"), "{status}\n{}", ran.told());
            // One that had said what it will do has its line, as it ended.
            let journal = life.node.journal();
            let begun = ran.stderr.contains("  run ") || ran.stdout.contains("  run ");
            assert_eq!(journal.len(), lines + usize::from(begun), "{}", ran.told());
            if let (true, Some(code)) = (begun && !in_step, ran.status.code()) {
                let code = if code == 130 { through::cancelled(130).into() } else { code };
                assert_eq!(journal.last().unwrap()["exit"], code);
            }
        }
        println!("settled within {slowest:?}");
        life.converges();
    }
}
