//! A cluster that is not at its best: nodes, quotas, volumes, webhooks,
//! controllers, the apiserver.

use super::made::plain;
use std::sync::{Mutex, PoisonError};

use super::{Bump, Case};
use crate::harness::kinds::crd;
use crate::harness::relay::Relay;
use crate::harness::until;

/// There is one node for all: it is cordoned for one of them at a time.
static CORDONED: Mutex<()> = Mutex::new(());

const SURGE: &str = "strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}";

pub(super) const CASES: &[Case] = &[
    ("quota-freed-by-the-surge", |bump| {
        let made = plain().spec(SURGE);
        bump.serves_as(&made, "");
        bump.node
            .kubectl(&["create", "quota", "tight", "--hard=pods=2"]);
        bump.deploys(&made, "slow-start 1s")
    }),
    ("quota-of-its-own", |bump| {
        let quota =
            "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: own}\nspec: {hard: {pods: 5}}\n";
        bump.deploys(&plain().file("quota", quota), "")
    }),
    ("static-volume", |bump| {
        let name = &bump.node.name;
        let volume = VOLUME.replace("NAME", name).replace("FOLDER", &bump.data);
        bump.apply(&volume, format!("pv/{name}"));
        let made = plain()
            .file("claim", &CLAIM.replace("NAME", name))
            .container("volumeMounts: [{name: files, mountPath: /files}]")
            .pod("volumes: [{name: files, persistentVolumeClaim: {claimName: files}}]");
        bump.deploys(&made, "")
    }),
    ("late-secret", |bump| {
        bump.serves();
        let group = format!("{}.example.com", bump.node.name);
        let name = format!("crd/mails.{group}");
        bump.apply(&crd("Mail", &group), name.clone());
        bump.node.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            &name,
        ]);
        let made = plain()
            .file("mail", &MAIL.replace("GROUP", &group))
            .container("envFrom: [{secretRef: {name: mail-login}}]");
        let running = bump.deploys(&made, "");
        bump.new_pod();
        bump.late(4, 20);
        bump.node.kubectl(&[
            "create",
            "secret",
            "generic",
            "mail-login",
            "--from-literal=A=b",
        ]);
        running
    }),
    ("webhook-down", |bump| {
        bump.serves();
        let name = &bump.node.name;
        let webhook = format!("validatingwebhookconfiguration/{name}");
        bump.apply(&WEBHOOK.replace("NAME", name), webhook.clone());
        let running = bump.deploys(&plain(), "");
        until("a pod is refused", || {
            bump.node
                .kubectl(&["get", "events", "-o", "jsonpath={.items[*].message}"])
                .contains("failed calling webhook")
        });
        bump.late(4, 10);
        bump.node.kubectl(&["delete", &webhook]);
        running
    }),
    // Case C12: the API server goes away in the middle of a rollout.
    ("apiserver-restarts", |bump| {
        bump.serves();
        let relay = Relay::before_the_cluster(&bump.node);
        let running = bump.deploys(&plain(), "slow-start 8s");
        bump.new_pod();
        relay.stop();
        bump.late(2, 3);
        relay.resume();
        // It leads there for as long as the deploy lasts.
        std::mem::forget(relay);
        running
    }),
    ("rolling-node", |bump| {
        bump.serves();
        let _alone = CORDONED.lock().unwrap_or_else(PoisonError::into_inner);
        let node = bump.node.kubectl(&["get", "nodes", "-o", "name"]);
        let running = bump.deploys(&plain(), "slow-start 4s");
        let pod = bump.new_pod();
        bump.node.kubectl(&["cordon", node.trim()]);
        bump.node.kubectl(&["delete", "pod", &pod, "--wait=false"]);
        until_unscheduled(bump);
        bump.late(1, 5);
        bump.node.kubectl(&["uncordon", node.trim()]);
        running
    }),
];

fn until_unscheduled(bump: &Bump) {
    let path = "jsonpath={.items[*].status.conditions[?(@.type=='PodScheduled')].status}";
    until("a pod finds no node", || {
        bump.node
            .kubectl(&["get", "pods", "-o", path])
            .contains("False")
    });
}

/// A volume of a class that does not exist, for one claim.
const VOLUME: &str = "apiVersion: v1
kind: PersistentVolume
metadata: {name: NAME}
spec:
  storageClassName: NAME-by-hand
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: FOLDER}
";

const CLAIM: &str = "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: files}
spec:
  storageClassName: NAME-by-hand
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
";

/// A kind whose controller makes Secrets.
const MAIL: &str = "apiVersion: GROUP/v1
kind: Mail
metadata: {name: mail}
spec: {target: {name: mail-login}}
";

/// A webhook that nobody answers, for the pods of one namespace.
const WEBHOOK: &str = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NAME}
webhooks:
  - name: nobody.example.com
    clientConfig: {url: \"https://127.0.0.1:1/\"}
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}
    rules: [{apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
    failurePolicy: Fail
    sideEffects: None
    timeoutSeconds: 2
    admissionReviewVersions: [v1]
";
