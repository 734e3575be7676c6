//! Versions of the shop that go wrong in one cluster, and are good in the others.

use serde_json::json;
use testbed::ghcr::{Access, Policy, User, Visibility};

use super::fleet::{Fleet, PLACES, shop};
use crate::rights::kubeconfig_of;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The program ends as it starts.
    Crash,
    /// A Secret is not there.
    Secret,
    /// A quota leaves no room for one pod more.
    Quota,
    /// The image cannot be had there: the cluster has no credentials for it.
    Image,
}

/// The user that may pull, and its password.
const PULLER: (&str, &str) = ("puller", "pull-it");

/// The Secret that a cluster pulls with.
const PULL_SECRET: &str = "ghcr";

const API: &str = "templates/api.yaml";

impl Failure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Crash, Self::Secret, Self::Quota, Self::Image];

    /// Pushes a version that fails so in this cluster alone, and sees to what it needs. Gives its
    /// images.
    pub fn push(self, fleet: &Fleet, version: &str, place: &str) -> [String; 2] {
        let there = |lines: &str| {
            format!("{{{{- if eq .Values.cluster {place:?} }}}}\n{lines}{{{{- end }}}}\n")
        };
        let container = "        - name: api\n";
        let (at, more) = match self {
            Self::Crash => (
                container,
                there("          args: [\"print no database at db:5432\", \"exit 3\"]\n"),
            ),
            Self::Secret => (
                container,
                there(
                    "          env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: shop-db, key: password}}}]\n",
                ),
            ),
            Self::Quota => (container, String::new()),
            Self::Image => (
                "      terminationGracePeriodSeconds: 1\n",
                format!("      imagePullSecrets: [{{name: {PULL_SECRET}}}]\n"),
            ),
        };
        let chart = shop(version);
        let text = chart.file(API).unwrap().to_owned();
        assert!(text.contains(at), "{API} does not hold {at:?}");
        fleet
            .node
            .push(&chart.with(API, &text.replace(at, &format!("{at}{more}"))));
        match self {
            Self::Quota => fleet.apply(place, &quota(fleet)),
            Self::Image => private(fleet, place),
            Self::Crash | Self::Secret => {}
        }
        fleet.images(&format!("for-{version}"))
    }

    /// What its cause must be named by.
    pub fn named(self) -> &'static [&'static str] {
        match self {
            Self::Crash => &["exit code 3", "no database at db:5432"],
            Self::Secret => &["shop-db"],
            Self::Quota => &["quota"],
            Self::Image => &["shop/api:for-"],
        }
    }
}

/// What a node needs to watch pods, and to read logs and reasons.
const READS: &str = "--resource=deployments.apps,replicasets.apps,statefulsets.apps,\
                     daemonsets.apps,jobs.batch,pods,pods/log,events,persistentvolumeclaims";

/// From now on the node has no other rights in a cluster than to read there.
pub fn only_reads(fleet: &Fleet, place: &str) {
    let name = fleet.node.name.as_str();
    let kubectl = |args: &[&str]| fleet.kubectl(place, args);
    kubectl(&["create", "namespace", name]);
    kubectl(&["create", "serviceaccount", "reader"]);
    let verbs = "--verb=get,list,watch";
    kubectl(&["create", "role", "reader", verbs, READS]);
    let account = format!("--serviceaccount={name}:reader");
    kubectl(&["create", "rolebinding", "reader", "--role=reader", &account]);
    let kubeconfig = kubeconfig_of("reader", kubectl);
    let file = format!(".kube/{place}");
    fleet.node.home.write(&file, &kubeconfig, 0o600);
}

/// Room for the two pods that run.
fn quota(fleet: &Fleet) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "two", "namespace": fleet.node.name},
        "spec": {"hard": {"pods": "2"}},
    })
}

/// From now on the api's images are for those who have credentials: this node, and each cluster
/// but one.
fn private(fleet: &Fleet, but: &str) {
    let (user, password) = PULLER;
    fleet.node.registry(&Policy {
        packages: [("shop/api".to_owned(), Visibility::Private)].into(),
        users: [(
            user.to_owned(),
            User {
                password: password.to_owned(),
                access: Access::Read,
            },
        )]
        .into(),
        ..Policy::default()
    });
    fleet.node.stores(".docker/config.json", user, password);
    for place in PLACES.into_iter().filter(|&place| place != but) {
        let config = std::fs::read_to_string(fleet.node.home.inside(".docker/config.json"));
        fleet.apply(
            place,
            &json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": PULL_SECRET, "namespace": fleet.node.name},
                "type": "kubernetes.io/dockerconfigjson",
                "stringData": {".dockerconfigjson": config.unwrap()},
            }),
        );
    }
}
