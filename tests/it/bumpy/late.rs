//! What a pod needs comes late: from the release itself, from operators, registries and
//! people, in minutes rather than seconds.

use std::fs;

use testbed::ghcr::{Access, Fault, Kind, Policy, Visibility};

use super::made::{Made, plain};
use super::{Bump, Case};
use crate::harness::kinds::crd;
use crate::harness::until;

/// What the api misses until it is there.
const NEEDS: &str = "need-file /data/up";

pub(super) const CASES: &[Case] = &[
    // Case C1: the api ends until the database is up.
    ("database-of-two-minutes", |bump| {
        with_database(bump, 20, 120)
    }),
    ("database-of-three-minutes", |bump| {
        with_database(bump, 30, 200)
    }),
    ("init-waits-for-a-job", |bump| {
        let seconds = bump.seconds(20, 180);
        let args = format!(r#""once", "once-sleep {seconds}s""#);
        let mount = ", volumeMounts: [{name: data, mountPath: /data}]";
        let made = plain()
            .job("seed", "backoffLimit: 0", "Never", &args, &bump.data)
            .data(&bump.data)
            .init("wait", &format!(r#""once", "{NEEDS}""#), mount);
        let running = bump.deploys(&made, "");
        bump.late(20, 180);
        up(bump);
        running
    }),
    // Case C2: a mesh's proxy is there some seconds after the api.
    ("mesh-start-race", |bump| {
        bump.serves();
        let made = plain()
            .data(&bump.data)
            // The image's own need is the api's.
            .beside("mesh", r#""need-file /proc/self/stat", "hang""#);
        let running = bump.deploys(&made, NEEDS);
        bump.new_pod();
        bump.late(5, 8);
        up(bump);
        running
    }),
    ("database-fails-over", |bump| {
        let made = database(bump, bump.seconds(8, 30));
        bump.serves_as(&made, "");
        let database = ["delete", "pod", "--selector=app=db", "--wait=false"];
        bump.node.kubectl(&database);
        let running = bump.deploys(&made, NEEDS);
        bump.new_pod();
        bump.late(8, 30);
        up(bump);
        running
    }),
    ("outside-database-of-all", |bump| {
        let made = plain().data(&bump.data);
        up(bump);
        bump.serves_as(&made, &format!("{NEEDS};crash-after 8s"));
        fs::remove_file(format!("{}/up", bump.data)).unwrap();
        until("the good revision's pod restarts", || {
            let path = "jsonpath={.items[*].status.containerStatuses[0].restartCount}";
            let said = bump.node.kubectl(&[
                "get",
                "pods",
                "--selector=app.kubernetes.io/component=api",
                "-o",
                path,
            ]);
            said.split_whitespace().any(|count| count != "0")
        });
        let running = bump.deploys(&made, NEEDS);
        bump.new_pod();
        bump.late(15, 60);
        up(bump);
        running
    }),
    // Case C3: an operator's Secret under a name that it makes of another.
    ("derived-secret", |bump| {
        bump.serves();
        let group = format!("{}.example.com", bump.node.name);
        let name = format!("crd/clusters.{group}");
        bump.apply(&crd("Cluster", &group), name.clone());
        let established = "--for=condition=Established";
        bump.node
            .kubectl(&["wait", established, "--timeout=60s", &name]);
        let cluster =
            format!("apiVersion: {group}/v1\nkind: Cluster\nmetadata: {{name: mail-db}}\n");
        let made = plain()
            .file("cluster", &cluster)
            .container("envFrom: [{secretRef: {name: mail-db-app}}]");
        let running = bump.deploys(&made, "");
        bump.new_pod();
        bump.late(5, 20);
        let secret = [
            "create",
            "secret",
            "generic",
            "mail-db-app",
            "--from-literal=A=b",
        ];
        bump.node.kubectl(&secret);
        running
    }),
    ("copied-pull-secret", |bump| {
        let private = Policy::public()
            .package("shop/api", Visibility::Private)
            .user("kubelet", "a-made-up-word", Access::Read);
        bump.node.registry(&private);
        let made = plain().pod("imagePullSecrets: [{name: ghcr}]");
        let running = bump.deploys(&made, "print a layer of its own");
        bump.new_pod();
        bump.late(5, 20);
        let (user, word) = (
            "--docker-username=kubelet",
            "--docker-password=a-made-up-word",
        );
        let server = "--docker-server=ghcr.io";
        bump.node.kubectl(&[
            "create",
            "secret",
            "docker-registry",
            "ghcr",
            server,
            user,
            word,
        ]);
        running
    }),
    // Case C4: what a registry says of a blob passes, and of an image that it has just
    // shown.
    ("blob-denied-for-a-while", |bump| {
        bump.serves();
        let denied = Fault::status(Kind::Blob, 403).package("shop/api").times(3);
        let made = plain();
        let signal = bump.signal(&made, "0.2.0", "t2", "print another layer of its own");
        // Not before it is pushed.
        bump.node.registry(&Policy::public().fault(denied));
        signal.start()
    }),
    ("manifest-gone-for-a-while", |bump| {
        bump.serves();
        // The first is ours, the rest are the kubelet's.
        let gone = Fault::status(Kind::Manifest, 404).package("shop/api");
        bump.node
            .registry(&Policy::public().fault(gone.skip(1).times(1)));
        bump.deploys(&plain(), "print a third layer of its own")
    }),
    // Case C5: a node gets its label when the pod waits already.
    ("node-labelled-late", |bump| {
        bump.serves();
        let label = format!("testbed/{}", bump.node.name);
        let running = bump.deploys(
            &plain().pod(&format!("nodeSelector: {{{label}: here}}")),
            "",
        );
        bump.new_pod();
        bump.late(5, 10);
        let node = bump.node.kubectl(&["get", "nodes", "-o", "name"]);
        bump.node
            .kubectl(&["label", node.trim(), &format!("{label}=here")]);
        running
    }),
    // Case C6: a pod of another release frees the quota.
    ("quota-freed-by-another", |bump| {
        bump.serves();
        let image = bump.node.image("web", "t1").by_tag();
        bump.node
            .kubectl(&["run", "other", "--image", &image, "--restart=Never"]);
        bump.node
            .kubectl(&["create", "quota", "tight", "--hard=pods=3"]);
        let running = bump.deploys(&plain(), "");
        until("a pod is refused", || {
            let path = "jsonpath={.items[*].message}";
            bump.node
                .kubectl(&["get", "events", "-o", path])
                .contains("exceeded quota")
        });
        bump.late(10, 30);
        bump.node
            .kubectl(&["delete", "pod", "other", "--wait=false"]);
        running
    }),
];

/// The example's chart whose api mounts the folder, and a database of its own that takes
/// so many seconds.
fn database(bump: &Bump, seconds: u64) -> Made {
    let made = plain().data(&bump.data);
    made.file(
        "db",
        &format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: db}}
spec:
  strategy: {{type: Recreate}}
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: db
          image: {{{{ include \"image\" .Values.web.image | quote }}}}
          args: [\"slow-start {seconds}s\"]
          readinessProbe: {{httpGet: {{path: /readyz, port: 8080}}, periodSeconds: 1}}
"
        ),
    )
}

/// A first install whose api ends until its database is there.
fn with_database(bump: &Bump, short: u64, long: u64) -> crate::harness::Running {
    let made = database(bump, bump.seconds(short, long));
    let running = bump.deploys(&made, NEEDS);
    bump.new_pod();
    bump.late(short, long);
    up(bump);
    running
}

/// What the api misses is there from now on.
fn up(bump: &Bump) {
    fs::write(format!("{}/up", bump.data), "").unwrap();
}
