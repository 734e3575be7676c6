//! The plainest chart that the contract fits: api and web, a worker and a migration if wanted.

use super::Chart;

/// A description of a `shop` chart. Its values are `<key>.image.{repository,tag,digest}` and
/// `<key>.replicas` for `api`, `web` and `worker`.
#[derive(Debug, Clone)]
pub struct Shop {
    name: String,
    version: String,
    worker: bool,
    hook: Option<Hook>,
    grace: u32,
    progress_deadline: u32,
}

/// A Job before each install and upgrade, with the api image.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Arguments of the application: `once` and more.
    pub args: Vec<String>,
    /// Helm's `hook-delete-policy`.
    pub delete_policy: String,
    /// The Job's `backoffLimit`.
    pub backoff_limit: u32,
    /// A folder of the node to mount at `/data`, where the application logs its starts and ends.
    pub data: Option<String>,
}

impl Default for Hook {
    /// A migration that prints a line and succeeds at once, kept until the next one.
    fn default() -> Self {
        Self {
            args: vec!["once".into(), "print migrating".into()],
            delete_policy: "before-hook-creation".into(),
            backoff_limit: 0,
            data: None,
        }
    }
}

impl Shop {
    /// api and web, one replica each, pods that end within a second.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            worker: false,
            hook: None,
            grace: 1,
            progress_deadline: 600,
        }
    }

    /// A worker as well.
    #[must_use]
    pub fn worker(mut self) -> Self {
        self.worker = true;
        self
    }

    /// A migration as well.
    #[must_use]
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// `terminationGracePeriodSeconds`, in seconds.
    #[must_use]
    pub fn grace(mut self, seconds: u32) -> Self {
        self.grace = seconds;
        self
    }

    /// `progressDeadlineSeconds` of the Deployments, in seconds.
    #[must_use]
    pub fn progress_deadline(mut self, seconds: u32) -> Self {
        self.progress_deadline = seconds;
        self
    }

    /// The chart's files.
    pub fn chart(&self) -> Chart {
        let mut keys = vec!["api", "web"];
        if self.worker {
            keys.push("worker");
        }
        let about = format!(
            "apiVersion: v2\nname: {name}\nversion: {version:?}\ntype: application\n",
            name = self.name,
            version = self.version,
        );
        let mut chart = Chart {
            name: self.name.clone(),
            version: self.version.clone(),
            files: [("Chart.yaml".to_owned(), about)].into(),
        }
        .with(
            "values.yaml",
            &keys.iter().map(|key| values(key)).collect::<String>(),
        )
        .with("templates/_helpers.tpl", HELPERS);
        for key in keys {
            chart = chart.with(&format!("templates/{key}.yaml"), &self.deployment(key));
        }
        match &self.hook {
            Some(hook) => chart.with("templates/migrate.yaml", &self.job(hook)),
            None => chart,
        }
    }

    fn deployment(&self, key: &str) -> String {
        DEPLOYMENT
            .replace("KEY", key)
            .replace("GRACE", &self.grace.to_string())
            .replace("PROGRESS", &self.progress_deadline.to_string())
    }

    fn job(&self, hook: &Hook) -> String {
        // A JSON array is a YAML one; Debug of a list of strings would not be for all strings.
        let args = serde_json::Value::from(hook.args.clone()).to_string();
        JOB.replace("POLICY", &hook.delete_policy)
            .replace("BACKOFF", &hook.backoff_limit.to_string())
            .replace("GRACE", &self.grace.to_string())
            .replace("ARGS", &args)
            + &hook.data.as_deref().map(volume).unwrap_or_default()
    }
}

fn values(key: &str) -> String {
    format!(
        "{key}:\n  replicas: 1\n  image:\n    repository: ghcr.io/example/{key}\n    tag: unset\n    digest: \"\"\n"
    )
}

/// The end of a pod's specification, after its one container.
fn volume(folder: &str) -> String {
    let volume = "          volumeMounts:
            - name: data
              mountPath: /data
      volumes:
        - name: data
          hostPath:
            type: DirectoryOrCreate
            path: ";
    format!("{volume}{}\n", serde_json::Value::from(folder))
}

const HELPERS: &str = r#"{{- define "image" -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
"#;

const DEPLOYMENT: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-KEY
  labels:
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/component: KEY
spec:
  replicas: {{ .Values.KEY.replicas }}
  progressDeadlineSeconds: PROGRESS
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ .Release.Name }}
      app.kubernetes.io/component: KEY
  template:
    metadata:
      labels:
        app.kubernetes.io/instance: {{ .Release.Name }}
        app.kubernetes.io/component: KEY
    spec:
      terminationGracePeriodSeconds: GRACE
      containers:
        - name: KEY
          image: {{ include "image" .Values.KEY.image | quote }}
          ports:
            - containerPort: 8080
          readinessProbe:
            httpGet:
              path: /readyz
              port: 8080
            periodSeconds: 1
"#;

const JOB: &str = r#"apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations:
    "helm.sh/hook": pre-install,pre-upgrade
    "helm.sh/hook-delete-policy": "POLICY"
spec:
  backoffLimit: BACKOFF
  template:
    metadata:
      labels:
        app.kubernetes.io/instance: {{ .Release.Name }}
        app.kubernetes.io/component: migrate
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: GRACE
      containers:
        - name: migrate
          image: {{ include "image" .Values.api.image | quote }}
          args: ARGS
"#;
