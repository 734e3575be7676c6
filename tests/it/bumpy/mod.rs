//! Good rollouts that look bad for a while: none of them fails a deploy.
//!
//! `cargo test` runs some of them, other ones with each Helm; `DEPLOY_SOAK` all of them
//! three times and with longer waits. `BUMPY=daemonset,paused` names those to run
//! (nothing behind the `=`: all of them).

#![expect(clippy::print_stdout, reason = "how long each took")]

mod cluster;
mod late;
mod made;
mod pods;
mod workloads;

use std::cell::RefCell;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use testbed::image::Spec;

use crate::harness::{Helm, Node, Running, soak, until};
use made::Made;

/// How many of them are under way at a time, with each Helm.
const AT_ONCE: usize = 3;

/// How many of them `cargo test` runs, with each Helm.
const PART: usize = 5;

/// How often all of them are run in a soak.
const ROUNDS: usize = 3;

/// A rollout that must come out well: its name, and all that happens until its
/// deploy is on the way.
type Case = (&'static str, fn(&Bump) -> Running);

/// The node of one rollout.
struct Bump {
    node: Node,
    /// A folder that its pods can mount.
    data: String,
    soak: bool,
    /// What is not the namespace's and must go in the end.
    beyond: RefCell<Vec<String>>,
}

impl Bump {
    fn new(name: &str, helm: Helm, soak: bool) -> Self {
        let node = Node::new(name, helm);
        let data = node.home.shared("data").to_str().unwrap().to_owned();
        let beyond = RefCell::default();
        Self {
            node,
            data,
            soak,
            beyond,
        }
    }

    /// A first release, which serves.
    fn serves(&self) {
        self.serves_as(&made::plain(), "");
    }

    /// A first release of this chart, whose api behaves so.
    fn serves_as(&self, made: &Made, behaviour: &str) {
        self.send(made, "0.1.0", "t1", behaviour).wait().exits(0);
    }

    /// The deploy that it is about: this chart, and an api that behaves so.
    fn deploys(&self, made: &Made, behaviour: &str) -> Running {
        self.send(made, "0.2.0", "t2", behaviour)
    }

    fn send(&self, made: &Made, version: &str, tag: &str, behaviour: &str) -> Running {
        self.signal(made, version, tag, behaviour).start()
    }

    /// A signal for this chart in this version, and an api that behaves so.
    fn signal(
        &self,
        made: &Made,
        version: &str,
        tag: &str,
        behaviour: &str,
    ) -> crate::harness::Signal<'_> {
        self.node.push(&made.chart(version));
        let spec = Spec::behaving(behaviour);
        let api = self.node.image_with("api", tag, spec).by_tag();
        let web = self.node.image("web", "t1").by_tag();
        self.node
            .signal(version)
            .image("api", api)
            .image("web", web)
    }

    /// The name of a pod of the new release, once there is one.
    fn new_pod(&self) -> String {
        let path =
            r#"jsonpath={range .items[*]}{.metadata.name} {.spec.containers[0].image}{"\n"}{end}"#;
        let mut found = None;
        until("a new pod is there", || {
            let pods = self.node.kubectl(&["get", "pods", "-o", path]);
            let new = pods.lines().find_map(|line| {
                line.split_once(' ')
                    .filter(|(_, image)| image.ends_with("/api:t2"))
            });
            found = new.map(|(name, _)| name.to_owned());
            found.is_some()
        });
        found.unwrap()
    }

    /// Hands the cluster an object that is in no namespace.
    fn apply(&self, manifest: &str, object: String) {
        self.beyond.borrow_mut().push(object);
        let name = format!("manifest-{}.yaml", manifest.len());
        self.node.home.write(&name, manifest, 0o600);
        let file = self.node.home.inside(&name);
        self.node.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    }

    /// So long it takes until what is late comes: in seconds, by default and in
    /// a soak.
    fn late(&self, short: u64, long: u64) {
        std::thread::sleep(Duration::from_secs(self.seconds(short, long)));
    }

    /// The seconds of one or the other.
    fn seconds(&self, short: u64, long: u64) -> u64 {
        if self.soak { long } else { short }
    }
}

impl Drop for Bump {
    fn drop(&mut self) {
        for object in self.beyond.take() {
            self.node.clear(&object);
        }
    }
}

/// The cases to run: some, from all over the list, or all of them so many times.
fn chosen(helm: Helm, soak: bool) -> Vec<(usize, Case)> {
    let mut all: Vec<Case> = [pods::CASES, workloads::CASES, cluster::CASES, late::CASES].concat();
    if let Ok(names) = std::env::var("BUMPY") {
        all.retain(|case| names.is_empty() || names.split(',').any(|name| name == case.0));
        return all.into_iter().map(|case| (0, case)).collect();
    }
    let turn = usize::from(helm == Helm::V4);
    if soak {
        // The rounds take turns with the Helms: three for each case in all.
        let numbered = |round| {
            all.iter()
                .enumerate()
                .map(move |(at, case)| (at, round, *case))
        };
        let rounds = (0..ROUNDS).flat_map(numbered);
        let ours = rounds.filter(|(at, round, _)| (at + round) % 2 == turn);
        return ours.map(|(_, round, case)| (round, case)).collect();
    }
    let step = all.len() / (2 * PART);
    let some = all.into_iter().skip(turn * step).step_by(2 * step);
    some.take(PART).map(|case| (0, case)).collect()
}

fn run(helm: Helm) {
    let soak = soak::is_on();
    let waiting = Mutex::new(chosen(helm, soak));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().pop();
                    let Some((round, (name, case))) = next else {
                        return;
                    };
                    let begun = Instant::now();
                    let bump = Bump::new(&format!("bumpy-{name}"), helm, soak);
                    let ran = case(&bump).wait();
                    println!("{name}, round {round}, {helm:?}: {:.1?}", begun.elapsed());
                    if ran.status.code() != Some(0) {
                        let told = format!("{name} with {helm:?} {}", ran.told());
                        failed.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn helm3() {
    run(Helm::V3);
}

#[test]
fn helm4() {
    run(Helm::V4);
}
