//! Deploys of one release from several machines: one at a time, the dead are
//! succeeded, and who lost the release touches it no more.

use jiff::{Span, Timestamp};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cancel::{install, stuck, stuck_in_hook, stuck_in_hook_for};
use crate::harness::process::{descendants, helm, kill};
use crate::harness::{Helm, Node, Signal as Sent, on_both_helms, until};
use crate::rights::{VERBS, namespaced};

/// The release's lease; null where there is none.
pub fn lease(node: &Node) -> Value {
    let name = format!("deploy.{}", node.name);
    let found = node.kubectl(&["get", "lease", &name, "--ignore-not-found", "-o", "json"]);
    if found.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&found).unwrap()
}

/// What the holder says of itself.
fn holder(lease: &Value) -> Value {
    let said = &lease["metadata"]["annotations"]["deploy-signal/holder"];
    said.as_str()
        .map_or(Value::Null, |said| serde_json::from_str(said).unwrap())
}

/// Writes the release's lease as somebody else's, who renewed it that long ago.
fn by_hand(node: &Node, identity: &str, seconds: u32, ago: Span) {
    let renewed = Timestamp::now().checked_sub(ago).unwrap();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": { "name": format!("deploy.{}", node.name) },
        "spec": {
            "holderIdentity": identity,
            "leaseDurationSeconds": seconds,
            "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        },
    });
    node.home.write("lease.json", &lease.to_string(), 0o644);
    let file = node.home.inside("lease.json");
    node.kubectl(&["apply", "--filename", file.to_str().unwrap()]);
}

fn patch(node: &Node, spec: &Value) {
    let name = format!("deploy.{}", node.name);
    let patch = json!({ "spec": spec }).to_string();
    node.kubectl(&["patch", "lease", &name, "--type=merge", "--patch", &patch]);
}

/// A good signal for the next api, from any machine.
fn signal<'a>(node: &'a Node, tag: &str) -> Sent<'a> {
    let (api, web) = (node.image("api", tag), node.image("web", "t1"));
    node.signal("0.1.0")
        .image("api", api.by_tag())
        .image("web", web.by_tag())
}

/// Kills deploy and its helm at once, in the middle of an upgrade.
fn killed(node: &Node) {
    let running = stuck_in_hook(node);
    let helm = helm(running.pid(), "upgrade").expect("helm is at work");
    until("its helm is told", || {
        holder(&lease(node))["helm"]["pid"] == helm
    });
    descendants(running.pid()).into_iter().for_each(kill);
    kill(running.pid());
    assert!(!running.wait().status.success());
    assert_eq!(node.status(), "pending-upgrade");
}

on_both_helms! {
    /// A first install: the lease is taken once helm has made the namespace.
    /// Another machine waits for it, tells for whom, and then deploys.
    fn one_machine_at_a_time(node) {
        let other = node.elsewhere("node-b");
        node.shop("0.1.0");
        let first = stuck(&node, false);
        until("the lease is taken", || holder(&lease(&node))["pid"] == first.pid());
        let told = holder(&lease(&node));
        assert_eq!(told["host"], rustix::system::uname().nodename().to_str().unwrap(), "{told}");

        other.home.write_etc("deploy/deploy.toml", "[defaults]\nlock_timeout = \"1s\"\n", 0o644);
        signal(&other, "t2").run().exits(9)
            .says("holds its lease; waited 1s").says("held by run ").says(", on host ");
        other.home.write_etc("deploy/deploy.toml", "", 0o644);

        let second = signal(&other, "t2").start();
        second.until_says("waiting for run ");
        first.signal(Signal::TERM);
        first.wait().exits(143);
        // The first one's install hooks have run.
        second.wait().exits(0).says("revision 2");
        assert_eq!(lease(&node), Value::Null, "nothing stays");
    }
}

on_both_helms! {
    /// Another user's deploy of this machine was killed: its processes are gone,
    /// so what it left is settled at once.
    fn the_dead_of_this_machine(node) {
        install(&node);
        killed(&node);
        let other = node.beside();
        signal(&other, "t2").run().exits(0)
            .says("revision 2 was left pending-upgrade").says("revision 3")
            .never_says("waiting for run ");
        assert_eq!(lease(&node), Value::Null);
    }
}

on_both_helms! {
    /// Nothing is there yet, not even a namespace for a lease, and two machines begin at once: one
    /// installs. The other does no harm, is told who was faster, and goes through the next time.
    fn two_first_installs_race(node) {
        let other = node.elsewhere("node-b");
        node.shop("0.1.0");
        let begun = [(&node, "t1"), (&other, "t2")].map(|(on, tag)| signal(on, tag).start());
        let [one, two] = begun.map(crate::harness::Running::wait);
        let (lost, loser, tag) = if one.status.success() {
            (two, &other, "t2")
        } else {
            two.exits(0);
            (one, &node, "t1")
        };
        assert_eq!(node.status(), "deployed");
        assert_eq!(lease(&node), Value::Null);
        if !lost.status.success() {
            lost.exits(9).says("another helm is at work on this release");
            signal(loser, tag).run().exits(0);
        }
        assert_eq!(node.records().len(), 2);
    }
}

/// Those of another machine are known by their lease, which runs out.
#[test]
fn the_dead_of_another_machine() {
    let node = Node::new("dead-elsewhere", Helm::V4);
    let other = node.elsewhere("node-b");
    install(&node);
    killed(&node);
    // Not the whole minute, for this test.
    patch(&node, &json!({ "leaseDurationSeconds": 3 }));
    signal(&other, "t2")
        .run()
        .exits(0)
        .says("waiting for run ")
        .says("revision 2 was left pending-upgrade")
        .says("revision 3");
    assert_eq!(lease(&node), Value::Null);
}

/// A lease that says no more than its holder's name.
#[test]
fn a_stranger_holds_it() {
    let node = Node::new("stranger", Helm::V3);
    install(&node);
    by_hand(&node, "node-c", 3, Span::new());
    signal(&node, "t2")
        .run()
        .exits(0)
        .says("waiting for node-c")
        .says("revision 2");
    // It is not known to be stale before it was seen unchanged, whatever the clocks say.
    by_hand(&node, "node-c", 3, Span::new().hours(2));
    signal(&node, "t3")
        .run()
        .exits(0)
        .says("waiting for node-c")
        .says("revision 3");
    assert_eq!(lease(&node), Value::Null);
}

on_both_helms! {
    /// Somebody took the release over: nothing is undone, and nothing is judged.
    fn a_lease_that_is_taken_over(node) {
        install(&node);
        let running = stuck(&node, false);
        until("it is held", || !lease(&node)["spec"]["holderIdentity"].is_null());
        patch(&node, &json!({ "holderIdentity": "node-z" }));
        running.wait().exits(9).says("took over the release's lease").says("held by node-z");
        assert!(node.is_rolling_out());
        assert_eq!(lease(&node)["spec"]["holderIdentity"], "node-z");
        let name = format!("deploy.{}", node.name);
        node.kubectl(&["delete", "lease", &name]);
        signal(&node, "t2").run().exits(0).says("revision 3");
    }
}

/// Case E1: `deploy` is stopped for longer than the Lease lasts while its helm
/// works, and another machine deploys: never two helms, never two records
/// `deployed`. The stopped one ends helm all the same, and says who took over.
#[test]
fn a_deploy_that_is_stopped() {
    let node = Node::new("stopped", Helm::V4);
    let other = node.elsewhere("node-b");
    install(&node);
    // As long as helm may work after a renewal, and some more.
    let running = stuck_in_hook_for(&node, 60);
    let mine = helm(running.pid(), "upgrade").expect("helm is at work");
    until("its helm is told", || {
        holder(&lease(&node))["helm"]["pid"] == mine
    });
    let others: Vec<u32> = descendants(running.pid());
    running.signal(Signal::STOP);
    let second = signal(&other, "t2").start();
    second.until_says("waiting for run ");
    until("the helm of the stopped one is ended", || {
        assert_eq!(helm(second.pid(), "upgrade"), None, "two helms");
        !is_running(mine)
    });
    until("its guard too", || {
        !others.iter().any(|pid| is_running(*pid))
    });
    // Not the whole minute, for this test.
    patch(&node, &json!({ "leaseDurationSeconds": 3 }));
    second.wait().exits(0).says("revision 3");
    running.signal(Signal::CONT);
    running
        .wait()
        .exits(9)
        .says("another deploy took over the release's lease")
        .says("helm had written revision 2 before it was stopped; it is failed now")
        .says("revision 3 was written by another, and is deployed");
    let statuses: Vec<String> = node.records().into_iter().map(|(_, it)| it).collect();
    let deployed = statuses.iter().filter(|status| *status == "deployed");
    assert_eq!(deployed.count(), 1, "{statuses:?}");
    node.runs(&[
        &node.image("api", "t2").by_tag(),
        &node.image("web", "t1").by_tag(),
    ]);
    assert_eq!(lease(&node), Value::Null);
}

/// Whether a process does anything still: a zombie does not.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// All that a release needs, but no lease.
const NO_LEASES: &str = "secrets,configmaps,services,pods,pods/log,events,deployments.apps,\
                         replicasets.apps,statefulsets.apps,daemonsets.apps,jobs.batch";

fn take_the_right(node: &Node) {
    node.kubectl(&["delete", "role", "runner"]);
    let (verbs, resources) = (
        format!("--verb={VERBS},watch"),
        format!("--resource={NO_LEASES}"),
    );
    node.kubectl(&["create", "role", "runner", &verbs, &resources]);
}

on_both_helms! {
    /// A Role without leases is one note, and no more.
    fn no_right_to_leases(node) {
        node.shop("0.1.0");
        namespaced(&node, &format!("{VERBS},watch"));
        take_the_right(&node);
        for tag in ["t1", "t2"] {
            let ran = signal(&node, tag).run();
            ran.exits(0).says("no lease of the release can be had").says("leases.coordination.k8s.io");
            assert_eq!(ran.stderr.matches("no lease").count(), 1, "{}", ran.stderr);
        }
    }
}

/// The right goes while helm works: it is stopped before another machine may
/// think it dead.
#[test]
fn a_lease_that_cannot_be_renewed() {
    let node = Node::new("not-renewed", Helm::V4);
    node.shop("0.1.0");
    namespaced(&node, &format!("{VERBS},watch"));
    signal(&node, "t1").run().exits(0);
    let running = stuck(&node, false);
    until("it is held", || {
        !lease(&node)["spec"]["holderIdentity"].is_null()
    });
    take_the_right(&node);
    let ran = running.wait();
    ran.exits(8)
        .says("could not be renewed for 45 s")
        .says("refuses it (403)");
    assert!(node.is_rolling_out());
    // Its process is gone, so nobody waits.
    signal(&node, "t2").run().exits(0).says("revision 3");
}
