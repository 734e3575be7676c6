//! Failed rollouts: the cause is named within seconds, and what served before
//! serves again.

use std::time::Duration;

use testbed::chart::{Chart, Hook, Shop};
use testbed::ghcr::{Access, Policy, User, Visibility};
use testbed::image::{Platform, Spec};

use crate::harness::{Node, Ran, on_both_helms};

/// Far below the ten minutes that a deploy may take, far above what it takes.
const SOON: Duration = Duration::from_secs(25);

const API: &str = "templates/api.yaml";
const CONTAINER: &str = "        - name: api\n";

/// The example's chart, a later version.
fn next() -> Chart {
    Shop::new("shop", "0.2.0").chart()
}

/// The chart with a text of the api's template replaced.
fn edited(from: &str, to: &str) -> Chart {
    let folder = tempfile::tempdir().unwrap();
    let written = next().write(folder.path()).unwrap();
    let text = std::fs::read_to_string(written.join(API)).unwrap();
    assert!(text.contains(from), "{API} does not hold {from:?}");
    next().with(API, &text.replace(from, to))
}

/// With more in the api's container, each line with its own indentation.
fn with_container(more: &str) -> Chart {
    edited(CONTAINER, &format!("{CONTAINER}{more}"))
}

/// With more in the api's pod.
fn with_pod(more: &str) -> Chart {
    let containers = "      containers:\n";
    edited(containers, &format!("{more}{containers}"))
}

/// The first release, which serves.
fn first(node: &Node) -> [String; 2] {
    node.shop("0.1.0");
    let images = ["api", "web"].map(|key| node.image(key, "t1").by_tag());
    let [api, web] = images.clone();
    node.signal("0.1.0")
        .image("api", api)
        .image("web", web)
        .run()
        .exits(0);
    images
}

/// An upgrade to this chart and this api image, by hand.
fn upgrade(node: &Node, chart: &Chart, api: &str, env: &[(&str, &str)]) -> Ran {
    node.push(chart);
    let web = format!("ghcr.io/{}/shop/web:t1", node.name);
    let mut signal = node.signal("0.2.0").image("api", api).image("web", web);
    for (key, value) in env {
        signal = signal.env(key, value);
    }
    let ran = signal.run();
    eprintln!("--- {} {:?}: {:?}\n{}{}", node.name, node.helm, ran.took, ran.stderr, ran.stdout);
    ran
}

/// The line that names the cause.
fn cause(ran: &Ran) -> &str {
    let mut lines = ran.stderr.lines();
    lines
        .find_map(|line| line.strip_prefix("error: "))
        .unwrap_or_else(|| panic!("no error in\n{}", ran.stderr))
}

#[track_caller]
fn names(ran: &Ran, parts: &[&str]) {
    let cause = cause(ran);
    for part in parts {
        assert!(cause.contains(part), "expected {part:?} in {cause:?}\n{}", ran.stderr);
    }
}

/// What `deploy show` says of the last run, as JSON.
fn shown(node: &Node) -> serde_json::Value {
    let journal = node.journal();
    let run = journal.last().unwrap()["run"].as_str().unwrap();
    let ran = node.subcommand(&["show", run, "--json"]);
    ran.exits(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The revisions' states, the oldest first.
fn states(node: &Node) -> Vec<String> {
    let secrets = node.kubectl(&["get", "secrets", "-l", "owner=helm", "-o", "json"]);
    let secrets: serde_json::Value = serde_json::from_str(&secrets).unwrap();
    let mut states: Vec<(u32, String)> = secrets["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| {
            let labels = &secret["metadata"]["labels"];
            let version = labels["version"].as_str().unwrap().parse().unwrap();
            (version, labels["status"].as_str().unwrap().to_owned())
        })
        .collect();
    states.sort();
    states.into_iter().map(|(_, state)| state).collect()
}

on_both_helms! {
    /// The old pods serve again, the log of the crash is kept and shown by hand.
    fn a_crash_loop_is_rolled_back(node) {
        let before = first(&node);
        let crash = Spec::behaving("print no database at db:5432\nexit 3");
        let api = node.image_with("api", "t2", crash).by_tag();
        let ran = upgrade(&node, &next(), &api, &[]);
        ran.exits(7).says("no database at db:5432").says("revision 3 serves, a copy of revision 1");
        names(&ran, &["-api: container api of ", "ended 2 times, last with exit code 3"]);
        assert!(ran.took < SOON, "{:?}", ran.took);
        assert_eq!(node.running(), before);
        assert_eq!(states(&node), ["superseded", "failed", "deployed"]);
        let shown = shown(&node);
        assert_eq!((&shown["exit"], &shown["revision"]), (&7.into(), &3.into()));
        assert!(shown["evidence"].to_string().contains("no database at db:5432"), "{shown}");
    }
}

on_both_helms! {
    /// Only the hook ran: nothing is rolled back, its log outlives its pod, and
    /// the migration runs once.
    fn a_failed_hook_changes_no_workload(node) {
        let before = first(&node);
        let hook = Hook {
            args: ["once", "print column users.mail is missing", "once-exit 5"].map(str::to_owned).to_vec(),
            delete_policy: "before-hook-creation,hook-failed".to_owned(),
            ..Hook::default()
        };
        let chart = Shop::new("shop", "0.2.0").hook(hook).chart();
        let api = node.image("api", "t2").by_tag();
        let ran = upgrade(&node, &chart, &api, &[("GITHUB_ACTIONS", "false")]);
        ran.exits(7).says("column users.mail is missing").says("revision 1 still serves");
        names(&ran, &["hook ", "-migrate: the Job failed"]);
        assert!(ran.took < SOON, "{:?}", ran.took);
        assert_eq!(node.running(), before);
        assert_eq!(states(&node), ["deployed", "failed"]);
        assert!(shown(&node)["evidence"].to_string().contains("column users.mail is missing"));
    }
}

on_both_helms! {
    /// A rollback runs no migration: the hook of the good revision, which would
    /// fail now, is not run again.
    fn a_rollback_runs_no_migration(node) {
        let hook = Hook::default();
        node.push(&Shop::new("shop", "0.1.0").hook(hook.clone()).chart());
        let images = ["api", "web"].map(|key| node.image(key, "t1").by_tag());
        node.signal("0.1.0").image("api", &images[0]).image("web", &images[1]).run().exits(0);
        let chart = Shop::new("shop", "0.2.0").hook(hook).chart();
        let api = node.image_with("api", "t2", Spec::behaving("exit 3;once-exit 0")).by_tag();
        let job = |node: &Node| node.kubectl(&["get", "jobs", "-o", "jsonpath={.items[*].metadata.uid} {.items[*].spec.template.spec.containers[0].image}"]);
        let ran = upgrade(&node, &chart, &api, &[]);
        ran.exits(7);
        assert!(job(&node).ends_with(&api), "the last migration is the failed revision's: {}", job(&node));
        assert_eq!(node.running(), images);
    }
}
