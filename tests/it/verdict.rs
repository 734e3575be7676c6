//! The verdict is `deploy`'s own, on both Helms alike: Ready means that every
//! workload is, and what is not part of that fails nothing.

use testbed::chart::{Chart, Hook, Shop};
use testbed::image::Spec;

use crate::harness::process::kill;
use crate::harness::{Helm, Node, Signal, on_both_helms, until};

const API: &str = "templates/api.yaml";
const HOOK: &str = "templates/migrate.yaml";

/// The example's chart, whose api has at most one pod at a time: helm calls it
/// ready with none.
fn one_at_a_time(version: &str) -> Chart {
    let chart = Shop::new("shop", version).chart();
    let text = chart.file(API).unwrap().replace(
        "spec:\n  replicas:",
        "spec:\n  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}\n  replicas:",
    );
    chart.with(API, &text)
}

fn signal<'a>(node: &'a Node, version: &str, api: &str) -> Signal<'a> {
    let web = node.image("web", "t1");
    node.signal(version)
        .image("api", api)
        .image("web", web.by_tag())
}

fn install(node: &Node) -> String {
    let api = node.image("api", "t1").by_tag();
    signal(node, "0.1.0", &api).run().exits(0);
    api
}

on_both_helms! {
    /// Case A1: `replicas - maxUnavailable` is none, and helm would be satisfied
    /// with that.
    fn a_crash_that_helm_would_not_wait_for(node) {
        node.push(&one_at_a_time("0.1.0"));
        node.push(&one_at_a_time("0.2.0"));
        let good = install(&node);
        let broken = node.image_with("api", "t2", Spec::behaving("exit 3"));
        signal(&node, "0.2.0", &broken.by_tag()).run().exits(7)
            .says("crashes")
            .says("rolled back: revision 3 serves, a copy of revision 1");
        node.runs(&[&good, &node.image("web", "t1").by_tag()]);
        let left = [(1, "superseded"), (2, "failed"), (3, "deployed")];
        assert_eq!(node.records(), left.map(|(revision, status)| (revision, status.to_owned())));
        assert!(node.description().starts_with("deploy: good (run "), "{}", node.description());
    }
}

/// The shop, whose api says nothing of whether it is ready: it counts as that as soon
/// as its container runs.
fn without_a_probe(version: &str) -> Chart {
    let chart = Shop::new("shop", version).chart();
    let text = chart.file(API).unwrap().to_owned();
    let (before, _) = text.split_once("          readinessProbe:").unwrap();
    chart.with(API, before)
}

/// A container without a probe is Ready for a moment at each of its starts.
#[test]
fn a_crash_after_a_moment_of_being_ready() {
    let node = Node::new("no-probe", Helm::V4);
    node.push(&without_a_probe("0.1.0"));
    let good = install(&node);
    let broken = node.image_with("api", "t2", Spec::behaving("crash-after 700ms"));
    signal(&node, "0.1.0", &broken.by_tag())
        .run()
        .exits(7)
        .says("crashes");
    node.runs(&[&good, &node.image("web", "t1").by_tag()]);
}

/// Case A5: nothing served before, and nothing serves now.
#[test]
fn a_first_install_whose_hook_fails_serves_nothing() {
    let node = Node::new("first-hook", Helm::V4);
    let hook = Hook {
        args: ["once", "exit", "1"].map(str::to_owned).to_vec(),
        ..Hook::default()
    };
    node.push(&Shop::new("shop", "0.1.0").hook(hook).chart());
    let api = node.image("api", "t1").by_tag();
    signal(&node, "0.1.0", &api)
        .run()
        .exits(8)
        .says("no workload was installed: nothing serves");
}

on_both_helms! {
    /// Case B1: no cluster has to give a load balancer an address for pods to be
    /// Ready. Helm 3 would wait for one until time is up.
    fn a_load_balancer_without_an_address(node) {
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: shop-lb}\nspec:\n  type: LoadBalancer\n  selector: {app: none}\n  ports: [{port: 80}]\n";
        node.push(&one_at_a_time("0.1.0").with("templates/lb.yaml", service));
        let api = node.image("api", "t1").by_tag();
        signal(&node, "0.1.0", &api).run().exits(0)
            .says("Service shop-lb is of type LoadBalancer and has no address yet");
    }
}

on_both_helms! {
    /// The deploy that waited died: the next one judges what it left.
    fn what_a_dead_deploy_left_is_judged_by_the_next(node) {
        node.push(&one_at_a_time("0.1.0"));
        let good = install(&node);
        let unready = node.image_with("api", "t2", Spec::behaving("unready the database is down"));
        let running = signal(&node, "0.1.0", &unready.by_tag()).start();
        until("the upgrade is rolled out", || node.is_rolling_out());
        kill(running.pid());
        running.wait();
        signal(&node, "0.1.0", &good).run().exits(0)
            .says("revision 2 was applied by a deploy that was interrupted; it is not Ready and counts as failed");
        let left = [(1, "superseded"), (2, "failed"), (3, "deployed")];
        assert_eq!(node.records(), left.map(|(revision, status)| (revision, status.to_owned())));
    }
}

/// The same where the container has no probe, and is Ready when the next one looks.
#[test]
fn a_moment_of_being_ready_that_a_dead_deploy_left() {
    let node = Node::new("no-probe-left", Helm::V4);
    node.push(&without_a_probe("0.1.0"));
    let good = install(&node);
    let broken = node.image_with("api", "t2", Spec::behaving("crash-after 4s"));
    let running = signal(&node, "0.1.0", &broken.by_tag()).start();
    running.until_says("container api to run for 5s");
    kill(running.pid());
    running.wait();
    signal(&node, "0.1.0", &good).run().exits(0)
        .says("revision 2 was applied by a deploy that was interrupted; it is not Ready and counts as failed");
}

/// Case A4: a hook that cannot begin is a release that has failed, and no more than
/// that: the fixed chart need not wait for what never ran.
#[test]
fn a_hook_that_never_ran_blocks_nothing() {
    let node = Node::new("never-ran", Helm::V4);
    let hooked = |version: &str| Shop::new("shop", version).hook(Hook::default()).chart();
    let chart = hooked("0.2.0");
    let lacking = chart.file(HOOK).unwrap().replace(
        "          args:",
        "          envFrom: [{secretRef: {name: not-there}}]\n          args:",
    );
    node.push(&one_at_a_time("0.1.0"));
    node.push(&chart.with(HOOK, &lacking));
    node.push(&hooked("0.3.0"));
    let good = install(&node);
    signal(&node, "0.2.0", &good)
        .run()
        .exits(7)
        .says("Secret not-there");
    signal(&node, "0.3.0", &good)
        .run()
        .exits(0)
        .says("-migrate of revision 2: no container of it ever ran");
}
