//! Charts for bumpy rollouts: the example's, with more in the api's workload,
//! and workloads of other kinds beside it.

use testbed::chart::{Chart, Hook, Shop};

const API: &str = "templates/api.yaml";

/// The api's image, as a template writes it.
const IMAGE: &str = r#"{{ include "image" .Values.api.image | quote }}"#;

/// A chart in the making.
#[derive(Clone)]
pub struct Made {
    chart: Chart,
    api: String,
}

/// The example's chart.
pub fn plain() -> Made {
    of(&Shop::new("shop", "0.2.0"))
}

/// With a migration.
pub fn with_hook(hook: Hook) -> Made {
    of(&Shop::new("shop", "0.2.0").hook(hook))
}

fn of(shop: &Shop) -> Made {
    let chart = shop.chart();
    let api = chart.file(API).unwrap().to_owned();
    Made { chart, api }
}

/// A migration with these arguments.
pub fn hook(args: &[&str]) -> Hook {
    let once = std::iter::once("once").chain(args.iter().copied());
    Hook {
        args: once.map(str::to_owned).collect(),
        ..Hook::default()
    }
}

impl Made {
    /// Another text in the place of one in the api's template.
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        assert!(self.api.contains(from), "{API} does not hold {from:?}");
        self.api = self.api.replace(from, to);
        self
    }

    /// More fields of the api's container.
    pub fn container(self, more: &str) -> Self {
        let name = "        - name: api\n";
        self.replace(name, &format!("{name}          {more}\n"))
    }

    /// More fields of the api's pod.
    pub fn pod(self, more: &str) -> Self {
        let containers = "      containers:\n";
        self.replace(containers, &format!("      {more}\n{containers}"))
    }

    /// More fields of the api's Deployment.
    pub fn spec(self, more: &str) -> Self {
        let selector = "  selector:\n";
        self.replace(selector, &format!("  {more}\n{selector}"))
    }

    /// So many pods of the api.
    pub fn replicas(self, count: u32) -> Self {
        let replicas = "{{ .Values.api.replicas }}";
        self.replace(replicas, &count.to_string())
    }

    /// The api's folder `/data` is this one of the node.
    pub fn data(self, folder: &str) -> Self {
        self.container("volumeMounts: [{name: data, mountPath: /data}]")
            .pod(&format!(
                "volumes: [{{name: data, hostPath: {{path: {folder:?}}}}}]"
            ))
    }

    /// Another container in the api's pod, behind it.
    pub fn beside(mut self, name: &str, args: &str) -> Self {
        let container = format!("        - {{name: {name}, image: {IMAGE}, args: [{args}]}}\n");
        self.api.push_str(&container);
        self
    }

    /// An init container of the api's pod; `more` begins with a comma.
    pub fn init(self, name: &str, args: &str, more: &str) -> Self {
        self.pod(&format!(
            "initContainers: [{{name: {name}, image: {IMAGE}, args: [{args}]{more}}}]"
        ))
    }

    /// A workload of another kind that runs the api's image; `spec` ends each of
    /// its lines.
    pub fn workload(self, kind: &str, name: &str, spec: &str) -> Self {
        let text = format!(
            "apiVersion: apps/v1
kind: {kind}
metadata: {{name: {{{{ .Release.Name }}}}-{name}}}
spec:
  {spec}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: {name}
          image: {IMAGE}
          readinessProbe: {{httpGet: {{path: /readyz, port: 8080}}, periodSeconds: 1}}
"
        );
        self.file(name, &text)
    }

    /// A Job with the api's image, no hook, whose `/data` is this folder.
    pub fn job(self, name: &str, spec: &str, restart: &str, args: &str, folder: &str) -> Self {
        let text = format!(
            "apiVersion: batch/v1
kind: Job
metadata: {{name: {{{{ .Release.Name }}}}-{name}-{{{{ .Release.Revision }}}}}}
spec:
  {spec}
  template:
    spec:
      restartPolicy: {restart}
      containers:
        - name: {name}
          image: {IMAGE}
          args: [{args}]
          volumeMounts: [{{name: data, mountPath: /data}}]
      volumes: [{{name: data, hostPath: {{path: {folder:?}}}}}]
"
        );
        self.file(name, &text)
    }

    /// One more template.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.chart = self.chart.with(&format!("templates/{name}.yaml"), text);
        self
    }

    /// The chart, in this version.
    pub fn chart(&self, version: &str) -> Chart {
        self.chart.clone().with(API, &self.api).versioned(version)
    }
}
