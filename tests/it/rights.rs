//! What the node's account may and may not do in the cluster, and who else has
//! changed what the release owns.

use serde_json::json;
use testbed::chart::{Hook, Shop};

use crate::controllers::{lacking, send, stateful};
use crate::harness::{Helm, Node, SCRIPT, on_both_helms};
use crate::readme::block_in;

/// All that a release of the shop needs in its own namespace, short of watching.
pub const VERBS: &str = "get,list,create,update,patch,delete";
const RESOURCES: &str = "secrets,configmaps,services,pods,pods/log,events,deployments.apps,\
                         replicasets.apps,statefulsets.apps,daemonsets.apps,jobs.batch,\
                         leases.coordination.k8s.io";

/// Makes the node's account a service account that has a Role in the
/// release's namespace and no right outside of it.
pub fn namespaced(node: &Node, verbs: &str) {
    account(node);
    role(node, verbs, RESOURCES);
}

/// Makes the node's account a service account without any right.
fn account(node: &Node) {
    node.kubectl(&["create", "namespace", &node.name]);
    node.kubectl(&["create", "serviceaccount", "runner"]);
    let kubeconfig = kubeconfig_of("runner", |args| node.kubectl(args));
    node.home.write(".kube/config", &kubeconfig, 0o600);
}

/// The kubeconfig of a service account in the namespace of this kubectl.
pub fn kubeconfig_of(account: &str, kubectl: impl Fn(&[&str]) -> String) -> String {
    let token = kubectl(&["create", "token", account]);
    let admin = kubectl(&["config", "view", "--raw", "--output=json"]);
    let admin: serde_json::Value = serde_json::from_str(&admin).unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "node", "cluster": admin["clusters"][0]["cluster"] }],
        "users": [{ "name": account, "user": { "token": token.trim() } }],
        "contexts": [{ "name": "node", "context": { "cluster": "node", "user": account } }],
        "current-context": "node",
    });
    kubeconfig.to_string()
}

/// Gives that account a Role `runner`.
fn role(node: &Node, verbs: &str, resources: &str) {
    let verbs = format!("--verb={verbs}");
    let resources = format!("--resource={resources}");
    node.kubectl(&["create", "role", "runner", &verbs, &resources]);
    bind(node, "runner");
}

fn bind(node: &Node, role: &str) {
    let account = format!("--serviceaccount={}:runner", node.name);
    let of = format!("--role={role}");
    node.kubectl(&["create", "rolebinding", role, &of, &account]);
}

on_both_helms! {
    /// The page about rights: its minimal Role and the chart's own objects
    /// suffice, and with the helpful one nothing is missing in the namespace.
    fn the_roles_of_the_docs(node) {
        node.shop("1.0.0");
        account(&node);
        role(&node, "get,create,patch,delete", "deployments.apps");
        let apply = |name: &str| {
            let manifest = block_in("docs/rights.md", name);
            let file = node.home.inside("role.yaml");
            node.home.write("role.yaml", &manifest, 0o600);
            node.kubectl(&["apply", "--filename", file.to_str().unwrap()]);
            bind(&node, &format!("deploy-{name}"));
        };
        apply("minimal");
        let web = node.image("web", "t1");
        let deploy = |tag: &str| {
            let api = node.image("api", tag);
            node.signal("1.0.0").image("api", api.by_tag()).image("web", web.by_tag()).run()
        };
        deploy("t1").exits(0).says("the rollout is not watched in full");
        deploy("t2").exits(0).says("revision 2");
        let doctor = format!("exec {SCRIPT} doctor {}", node.name);
        node.shell(&doctor).exits(0).says("has no right to").says("list, watch pods;");
        apply("helpful");
        deploy("t3").exits(0).never_says("not watched in full").never_says("no lease");
        node.shell(&doctor).exits(0).says("list nodes").never_says("pods");
    }
}

on_both_helms! {
    /// A Role in one namespace, without `watch` and without `get namespaces`.
    fn a_role_without_watch(node) {
        node.shop("1.0.0");
        namespaced(&node, VERBS);
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        let ran = node.signal("1.0.0").image("api", api.by_tag()).image("web", web.by_tag()).run();
        ran.exits(0).says("revision 1");
        let said = ran.stderr.matches("no right to watch").count();
        assert_eq!(said, usize::from(node.helm == Helm::V4), "{}", ran.stderr);

        let next = node.image("api", "t2");
        node.signal("1.0.0").image("api", next.by_digest()).image("web", web.by_tag()).run()
            .exits(0).says("revision 2");
        node.runs(&[&next.by_digest(), &web.by_tag()]);
    }
}

on_both_helms! {
    /// A Role in one namespace that may watch, and a hook to wait for.
    fn a_role_with_watch(node) {
        node.push(&Shop::new("shop", "1.0.0").hook(Hook::default()).chart());
        namespaced(&node, &format!("{VERBS},watch"));
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        node.signal("1.0.0").image("api", api.by_tag()).image("web", web.by_tag()).run()
            .exits(0).says("revision 1").never_says("no right to watch");
        node.runs(&[&api.by_tag(), &web.by_tag()]);
    }
}

/// An account without the right to read the release's records is told which
/// right it lacks, before anything is touched.
#[test]
fn a_role_that_reads_no_secrets() {
    let node = Node::new("no-secrets", Helm::V4);
    node.shop("1.0.0");
    namespaced(&node, VERBS);
    let resources = "--resource=deployments.apps";
    node.kubectl(&["delete", "role", "runner"]);
    node.kubectl(&["create", "role", "runner", "--verb=get", resources]);
    let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
    node.signal("1.0.0")
        .image("api", api.by_tag())
        .image("web", web.by_tag())
        .run()
        .exits(3)
        .says("403")
        .says("secrets");
}

on_both_helms! {
    /// Others changed what the release owns: the next deploy takes it back.
    fn others_changed_the_workload(node) {
        node.shop("1.0.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        let other = node.image("api", "other");
        let next = node.image("api", "t2");
        let deploy = |image: String| {
            node.signal("1.0.0").image("api", image).image("web", web.by_tag()).run().exits(0);
        };
        deploy(api.by_tag());
        let workload = format!("deployment/{}-api", node.name);

        // The same signal again: the manifest is the same, the cluster is not.
        let container = format!("api={}", other.by_tag());
        node.kubectl(&["set", "image", &workload, &container]);
        node.kubectl(&["scale", &workload, "--replicas=2"]);
        deploy(api.by_tag());
        node.runs(&[&api.by_tag(), &web.by_tag()]);

        node.kubectl(&["autoscale", &workload, "--min=2", "--max=3", "--cpu-percent=80"]);
        node.kubectl(&["wait", &workload, "--for=jsonpath={.spec.replicas}=2", "--timeout=60s"]);
        deploy(next.by_tag());
        node.runs(&[&next.by_tag(), &web.by_tag()]);
    }
}

/// A node changes from Helm 3 to Helm 4, and back.
#[test]
fn a_release_changes_its_helm() {
    let mut node = Node::new("changes-helm", Helm::V3);
    node.shop("1.0.0");
    let web = node.image("web", "t1");
    for (revision, helm) in [Helm::V3, Helm::V4, Helm::V4, Helm::V3]
        .into_iter()
        .enumerate()
    {
        node.helm = helm;
        let revision = revision + 1;
        let api = node.image("api", &format!("t{revision}"));
        node.signal("1.0.0")
            .image("api", api.by_tag())
            .image("web", web.by_tag())
            .run()
            .exits(0)
            .says(&format!("revision {revision}"));
        node.runs(&[&api.by_tag(), &web.by_tag()]);
        let workload = format!("deployment/{}-api", node.name);
        node.kubectl(&["scale", &workload, "--replicas=2"]);
    }
}

const OWN: &str = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {{ .Release.Namespace }}\n  labels:\n    team: shop\n";

on_both_helms! {
    /// A chart that renders its own Namespace, which is not there yet.
    fn a_chart_with_its_own_namespace(node) {
        let chart = Shop::new("shop", "1.0.0").chart().with("templates/namespace.yaml", OWN);
        node.push(&chart);
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        for revision in ["revision 1", "revision 2"] {
            node.signal("1.0.0").image("api", api.by_tag()).image("web", web.by_tag()).run()
                .exits(0).says(revision);
        }
        let labels = node.kubectl(&["get", "namespace", &node.name, "--output=jsonpath={.metadata.labels.team}"]);
        assert_eq!(labels, "shop");
    }
}

/// Case A16: without the right to delete pods a person has to do it, and is told so
/// before all else.
#[test]
fn a_pod_that_may_not_be_deleted() {
    let node = Node::new("no-delete", Helm::V4);
    account(&node);
    let others = RESOURCES.replace("pods,pods/log,", "");
    role(&node, "get,list,watch,create,update,patch,delete", &others);
    let pods = "--resource=pods,pods/log";
    node.kubectl(&["create", "role", "pods", "--verb=get,list,watch", pods]);
    bind(&node, "pods");
    node.push(&stateful("0.1.0"));
    node.push(&lacking("0.2.0"));
    send(&node, "0.1.0", false).exits(0);
    node.home.write(
        "deploy.toml",
        "[defaults]\nrollback_timeout = \"12s\"\n",
        0o600,
    );
    let ran = send(&node, "0.2.0", false);
    ran.exits(8).says("there is no right to delete pods");
    let told = ran.told();
    let hint = told.find("delete the pod that StatefulSet").unwrap();
    assert!(hint < told.find("look at it:").unwrap(), "{told}");
}
