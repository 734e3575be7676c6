//! Workloads whose controllers need help, or that only their controllers can judge.

use testbed::chart::{Chart, Shop};

use crate::harness::{Helm, Node, Ran, kinds};

const API: &str = "templates/api.yaml";

/// The example's chart with its api as a `StatefulSet`.
pub fn stateful(version: &str) -> Chart {
    let chart = Shop::new("shop", version).chart();
    let text = chart.file(API).unwrap();
    let text = text
        .replace("kind: Deployment", "kind: StatefulSet")
        .replace("  progressDeadlineSeconds: 600\n", "  serviceName: api\n");
    chart.with(API, &text)
}

/// The same, with a Secret that is not there.
pub fn lacking(version: &str) -> Chart {
    let chart = stateful(version);
    let needs = "        - name: api\n          envFrom: [{secretRef: {name: not-there}}]\n";
    let text = chart.file(API).unwrap();
    let text = text.replace("        - name: api\n", needs);
    chart.with(API, &text)
}

pub fn send(node: &Node, version: &str, keep: bool) -> Ran {
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    let signal = node.signal(version).image("api", api.by_tag());
    let signal = signal.image("web", web.by_tag());
    let signal = signal.env("DEPLOY_ATOMIC", if keep { "0" } else { "1" });
    signal.run()
}

/// Case A16: the controller of a `StatefulSet` waits for a broken pod before it makes
/// the one that is wanted, forward and back.
#[test]
fn a_pod_that_its_controller_does_not_replace() {
    let node = Node::new("stuck-pod", Helm::V4);
    node.push(&stateful("0.1.0"));
    node.push(&lacking("0.2.0"));
    node.push(&stateful("0.3.0"));
    let deleted = format!("deleted pod {}-api-0 of revision ", node.name);
    send(&node, "0.1.0", false).exits(0);
    let back = send(&node, "0.2.0", false);
    back.exits(7)
        .says(&deleted)
        .says("rolled back: revision 3 serves");
    send(&node, "0.2.0", true).exits(8).says("Secret not-there");
    send(&node, "0.3.0", true).exits(0).says(&deleted);
}

/// Case A7: a Rollout says itself how it went; nobody else knows what its steps are.
#[test]
fn a_rollout_of_argo_is_judged_by_its_own_status() {
    let node = Node::new("argo-rollout", Helm::V4);
    let crd = kinds::crd("Rollout", "argoproj.io").replace("name: v1\n", "name: v1alpha1\n");
    node.home.write("crd.yaml", &crd, 0o600);
    let file = node.home.inside("crd.yaml");
    node.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    node.kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd/rollouts.argoproj.io",
    ]);
    let chart = Shop::new("shop", "0.1.0").chart();
    let text = chart.file(API).unwrap().replace(
        "apiVersion: apps/v1\nkind: Deployment",
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout",
    );
    node.push(&chart.with(API, &text));
    let rollout = format!("rollout/{}-api", node.name);
    // This kind has no subresource for its status: each patch is a generation.
    let says = |status: &str| {
        let patch = format!("{{\"status\": {status}}}");
        node.kubectl(&["patch", &rollout, "--type=merge", "--patch", &patch]);
    };
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    let start = || {
        let signal = node.signal("0.1.0").image("api", api.by_tag());
        signal.image("web", web.by_tag()).start()
    };
    let running = start();
    running.until_says("waits for its controller to observe the change");
    says(
        "{\"observedGeneration\": \"9\", \"phase\": \"Progressing\", \"message\": \"more replicas need to be updated\"}",
    );
    running.until_says("more replicas need to be updated");
    says(
        "{\"observedGeneration\": \"9\", \"phase\": \"Degraded\", \"message\": \"ProgressDeadlineExceeded: timed out\"}",
    );
    running.wait().exits(8).says(&format!(
        "Rollout {}-api failed: ProgressDeadlineExceeded: timed out",
        node.name
    ));
    says(
        "{\"observedGeneration\": \"9\", \"phase\": \"Progressing\", \"message\": \"one of two\"}",
    );
    let running = start();
    running.until_says("one of two");
    says("{\"observedGeneration\": \"9\", \"phase\": \"Healthy\", \"message\": \"\"}");
    running.wait().exits(0);
}
