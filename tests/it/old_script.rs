//! A user of the bash script changes nothing: the same call, the same files and
//! the same variables lead to the same state of the cluster.

use std::fs;

use testbed::image::{Platform, Spec};

use crate::harness::{Helm, Node, Ran, SCRIPT, Signal, on_both_helms};

/// A script of the kind that `deploy` replaces; it gets `--atomic` by its name.
const OLD: &str = include_str!("old_script/deploy.sh");

/// Which program stands at the name that workflows call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Old,
    New,
}

fn put(node: &Node, program: Program) {
    let script = node.home.inside("deploy.sh");
    fs::remove_file(&script).unwrap();
    match program {
        Program::New => std::os::unix::fs::symlink("/usr/local/bin/deploy", script).unwrap(),
        Program::Old => {
            let atomic = match node.helm {
                Helm::V3 => "--atomic",
                Helm::V4 => "--rollback-on-failure",
            };
            node.home
                .write("deploy.sh", &OLD.replace("$ATOMIC_FLAG", atomic), 0o755);
        }
    }
}

/// The old script takes the place of `deploy`.
pub fn put_old(node: &Node) {
    put(node, Program::Old);
}

/// What a deploy leaves: the last record's status, and of each workload its
/// replicas and image.
fn state(node: &Node) -> (String, String) {
    let workloads = node.kubectl(&[
        "get", "deployments",
        "--output=jsonpath={range .items[*]}{.metadata.name} {.spec.replicas} {.spec.template.spec.containers[0].image}{\"\\n\"}{end}",
    ]);
    (node.status(), workloads)
}

/// What one program makes of a good deploy, one that fails and rolls back, and
/// one that fails and is kept.
fn story(program: Program, helm: Helm) -> Vec<(bool, (String, String))> {
    let node = Node::new("old-script", helm);
    put(&node, program);
    node.shop("1.0.0");
    let values = format!("{}.values.yaml", node.name);
    node.home.write(&values, "web:\n  replicas: 2\n", 0o600);
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    let signal = |image: &str| -> Signal<'_> {
        node.signal("1.0.0")
            .image("api", image)
            .image("web", web.by_tag())
    };
    let seen = |ran: &Ran| {
        let (status, workloads) = state(&node);
        (
            ran.status.success(),
            (status, workloads.replace(&node.name, "APP")),
        )
    };
    let mut story = vec![seen(
        &signal(&api.by_tag()).env("DEPLOY_TIMEOUT", "90s").run(),
    )];
    // One that can never start. A missing one would differ: the old script finds
    // that out in the cluster, this one before anything is touched.
    let crash = node.image_with(
        "api",
        "t2",
        Spec {
            binary: Some(match Platform::here() {
                Platform::Amd64 => Platform::Arm64,
                Platform::Arm64 => Platform::Amd64,
            }),
            ..Spec::default()
        },
    );
    for atomic in ["1", "0"] {
        let ran = signal(&crash.by_tag())
            .env("DEPLOY_TIMEOUT", "15s")
            .env("DEPLOY_ATOMIC", atomic)
            .run();
        story.push(seen(&ran));
    }
    story
}

on_both_helms! {
    /// Both programs tell the same story, each on a node of its own.
    fn nothing_changes(node) {
        let (old, new) = std::thread::scope(|scope| {
            let old = scope.spawn(|| story(Program::Old, node.helm));
            let new = scope.spawn(|| story(Program::New, node.helm));
            (old.join().unwrap(), new.join().unwrap())
        });
        assert_eq!(old, new);
        let ended: Vec<_> = old.iter().map(|(well, (status, _))| (*well, status.as_str())).collect();
        assert_eq!(ended, [(true, "deployed"), (false, "deployed"), (false, "failed")]);
        assert!(old[0].1.1.contains("APP-web 2 "), "{old:?}");
    }
}

on_both_helms! {
    /// A release of the old script's is taken over as it is.
    fn a_release_of_the_old_script(node) {
        put(&node, Program::Old);
        node.shop("1.0.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        let signal = || node.signal("1.0.0").image("api", api.by_tag()).image("web", web.by_tag());
        signal().run().exits(0);
        let before = state(&node);
        put(&node, Program::New);
        signal().run().exits(0).says("revision 2").says("the manifest is the same as before");
        assert_eq!(state(&node), before);
        assert!(fs::read_link(node.home.inside("deploy.sh")).is_ok(), "{SCRIPT}");
    }
}
