//! What the apiserver would refuse is refused before anything is touched, and
//! the cure that is told is one.

use crate::harness::kinds::crd;
use crate::harness::{Node, Ran, on_both_helms};
use testbed::chart::Shop;

const JOB: &str = r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-seed
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: seed
          image: "{{ .Values.api.image.repository }}:{{ .Values.api.image.tag }}"
          args: ["once"]
"#;

/// Without replicas, so that no volume is made.
const SET: &str = r"
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .Release.Name }}-db
spec:
  replicas: 0
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
        - name: db
          image: docker.io/library/postgres:17
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: SIZE}}
";

const GADGET: &str = "apiVersion: GROUP/v1\nkind: Gadget\nmetadata: {name: one}\n";

fn send(node: &Node, version: &str, tag: &str) -> Ran {
    let (api, web) = (node.image("api", tag), node.image("web", tag));
    let signal = node.signal(version);
    let signal = signal.image("api", api.by_tag()).image("web", web.by_tag());
    signal.run()
}

fn push(node: &Node, version: &str, files: &[(&str, &str)]) {
    let chart = Shop::new("shop", version).grace(1).chart();
    let chart = files
        .iter()
        .fold(chart, |chart, (path, text)| chart.with(path, text));
    node.push(&chart);
}

/// How many records the release has: a refused deploy leaves none.
fn revisions(node: &Node) -> usize {
    let records = node.kubectl(&["get", "secrets", "-l", "owner=helm", "-o", "name"]);
    records.lines().count()
}

on_both_helms! {
    /// A Job that is no hook, and whose image would change.
    fn a_job_that_would_change(node) {
        push(&node, "0.1.0", &[("templates/job.yaml", JOB)]);
        send(&node, "0.1.0", "t1").exits(0);
        send(&node, "0.1.0", "t1").exits(0);
        let job = format!("{}-seed", node.name);
        send(&node, "0.1.0", "t2")
            .exits(6)
            .says(&format!("Job {job}: the render changes spec.template, which cannot change"))
            .says(&format!("kubectl delete job {job} --namespace {}", node.name));
        assert_eq!(revisions(&node), 2);
        node.kubectl(&["delete", "job", &job]);
        send(&node, "0.1.0", "t2").exits(0);
    }
}

on_both_helms! {
    /// A `StatefulSet` whose volumes would become larger.
    fn volume_claims_that_would_change(node) {
        push(&node, "0.1.0", &[("templates/db.yaml", &SET.replace("SIZE", "1Gi"))]);
        push(&node, "0.2.0", &[("templates/db.yaml", &SET.replace("SIZE", "2Gi"))]);
        send(&node, "0.1.0", "t1").exits(0);
        let set = format!("{}-db", node.name);
        send(&node, "0.2.0", "t2")
            .exits(6)
            .says(&format!("StatefulSet {set}: the render changes spec.volumeClaimTemplates"))
            .says("--cascade=orphan");
        assert_eq!(revisions(&node), 1);
        node.kubectl(&["delete", "statefulset", &set, "--cascade=orphan"]);
        send(&node, "0.2.0", "t2").exits(0);
    }
}

on_both_helms! {
    /// A chart that grows a custom resource: helm brings `crds/` with a first
    /// install only.
    fn a_kind_that_is_not_served(node) {
        let group = format!("{}.example.com", node.name);
        let (crd, gadget) = (crd("Gadget", &group), GADGET.replace("GROUP", &group));
        node.shop("0.1.0");
        push(&node, "0.2.0", &[("crds/gadget.yaml", &crd), ("templates/gadget.yaml", &gadget)]);
        send(&node, "0.1.0", "t1").exits(0);
        send(&node, "0.2.0", "t2")
            .exits(6)
            .says(&format!("Gadget one: the cluster does not serve {group}/v1 Gadget"))
            .says("crds/");
        assert_eq!(revisions(&node), 1);
        node.home.write("gadget.yaml", &crd, 0o600);
        let file = node.home.inside("gadget.yaml");
        let name = format!("crd/gadgets.{group}");
        node.kubectl(&["apply", "-f", file.to_str().unwrap()]);
        node.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", &name]);
        send(&node, "0.2.0", "t2").exits(0);
        node.kubectl(&["delete", &name, "--wait=false"]);
    }
}
