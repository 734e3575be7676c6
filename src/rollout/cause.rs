//! Why a rollout cannot come right, as data and in words.
//!
//! Names and messages come from the cluster and are kept as they came; what
//! goes out through here is escaped and cut.

use super::workload_ref::{NamespacedName, WorkloadRef};
use crate::text;

/// Why it cannot come right by waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The registry has no such image.
    ImageNotFound,
    /// The registry refuses the image to this node.
    ImageDenied,
    /// The image's name cannot be parsed.
    ImageInvalid,
    /// The image must not be pulled (`imagePullPolicy: Never`) and is not there.
    ImageNeverPulled,
    /// The image is not for this node's platform.
    WrongPlatform,
    /// An object that the pod needs does not exist, or has no such key.
    Missing {
        /// `Secret`, `ConfigMap`, `ServiceAccount`, …
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key that it should have.
        key: Option<String>,
    },
    /// The container's specification cannot be carried out.
    BadContainer,
    /// The container's program cannot be started.
    CannotStart,
    /// The container ends again and again.
    CrashLoop {
        /// How often it has ended since the watch began.
        crashes: u32,
        /// Its last exit code.
        code: i32,
    },
    /// The container is killed for its memory again and again.
    OomLoop {
        /// How often it has ended since the watch began.
        crashes: u32,
    },
    /// A quota leaves no room for the pods.
    Quota,
    /// Admission refuses the pods.
    Admission,
    /// No node can ever take the pod.
    Unschedulable,
    /// An old pod holds what the pod needs of its node, and cannot leave.
    HeldByOldPod {
        /// `host port TCP 8080`, `cpu`, …
        what: String,
        /// The old pod's name.
        by: String,
    },
    /// A Job has failed.
    JobFailed,
    /// A pod of its own has failed.
    PodFailed,
    /// A claim has neither class nor volume.
    NoVolume,
    /// The Deployment's own deadline has passed.
    DeadlineExceeded,
}

impl Cause {
    /// The word for it in the journal and in `--json`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ImageNotFound => "image-not-found",
            Self::ImageDenied => "image-denied",
            Self::ImageInvalid => "image-invalid",
            Self::ImageNeverPulled => "image-never-pulled",
            Self::WrongPlatform => "wrong-platform",
            Self::Missing { .. } => "missing-object",
            Self::BadContainer => "bad-container",
            Self::CannotStart => "cannot-start",
            Self::CrashLoop { .. } => "crash-loop",
            Self::OomLoop { .. } => "oom-loop",
            Self::Quota => "quota",
            Self::Admission => "admission",
            Self::Unschedulable => "unschedulable",
            Self::HeldByOldPod { .. } => "held-by-old-pod",
            Self::JobFailed => "job-failed",
            Self::PodFailed => "pod-failed",
            Self::NoVolume => "no-volume",
            Self::DeadlineExceeded => "progress-deadline-exceeded",
        }
    }
}

/// A workload that cannot come right by waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalFailure {
    /// The rule that says so (see [`super::rules::RULES`]).
    pub rule: &'static str,
    /// Why.
    pub cause: Cause,
    /// Which workload.
    pub workload: WorkloadRef,
    /// Whether it is a hook.
    pub hook: bool,
    /// The pod, where it is one pod's fault.
    pub pod: Option<NamespacedName>,
    /// The container, where it is one container's fault.
    pub container: Option<String>,
    /// The container's image.
    pub image: Option<String>,
    /// What the cluster itself says, most telling first, as it came.
    pub said: Vec<String>,
}

impl TerminalFailure {
    /// A failure of a workload as a whole.
    pub(super) fn of(rule: &'static str, cause: Cause, workload: &WorkloadRef, hook: bool) -> Self {
        Self {
            rule,
            cause,
            workload: workload.clone(),
            hook,
            pod: None,
            container: None,
            image: None,
            said: Vec::new(),
        }
    }

    /// Adds what the cluster says.
    pub(super) fn saying(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.trim().is_empty() && !self.said.contains(&text) {
            self.said.push(text);
        }
        self
    }

    /// The cause in one line, safe to show:
    /// `Deployment api: container api of pod api-7d… cannot pull ghcr.io/acme/shop/api:abc: not found`.
    pub fn headline(&self) -> String {
        let hook = if self.hook { "hook " } else { "" };
        format!("{hook}{}: {}", self.workload, self.happening())
    }

    fn happening(&self) -> String {
        let who = self.who();
        let image = self
            .image
            .as_deref()
            .map(|image| text::line(image, 300))
            .unwrap_or_default();
        match &self.cause {
            Cause::ImageNotFound => format!("{who} cannot pull {image}: not found"),
            Cause::ImageDenied => {
                format!("{who} cannot pull {image}: the registry denies it to the cluster's node")
            }
            Cause::ImageInvalid => format!("{who} has an invalid image name: {image}"),
            Cause::ImageNeverPulled => {
                format!(
                    "{who} needs {image}, which must not be pulled (imagePullPolicy: Never) and is not on the cluster's node"
                )
            }
            Cause::WrongPlatform => {
                format!(
                    "{who} cannot run {image}: it is not built for the platform of the cluster's node"
                )
            }
            Cause::Missing { kind, name, key } => {
                let name = text::line(name, text::VALUE);
                let need = if self.pod.is_some() { "needs" } else { "need" };
                match key {
                    Some(key) => format!(
                        "{who} needs key {} of {kind} {name}, which has no such key",
                        text::line(key, text::VALUE)
                    ),
                    None => format!("{who} {need} {kind} {name}, which does not exist"),
                }
            }
            Cause::BadContainer => format!("{who} cannot be created{}", self.first()),
            Cause::CannotStart => format!("{who} cannot start{}", self.first()),
            Cause::CrashLoop { crashes, code } => {
                format!("{who} ended {crashes} times, last with exit code {code}")
            }
            Cause::OomLoop { crashes } => {
                format!("{who} ended {crashes} times, last for using more memory than its limit")
            }
            Cause::Quota => format!("a quota leaves no room for its pods{}", self.first()),
            Cause::Admission => format!("admission refuses its pods{}", self.first()),
            Cause::Unschedulable => format!("no node can take {who}{}", self.first()),
            Cause::HeldByOldPod { what, by } => format!(
                "no node can take {who}: the old pod {} holds {} and cannot leave: maxUnavailable is 0",
                text::line(by, text::VALUE),
                text::line(what, text::VALUE)
            ),
            Cause::JobFailed => format!("the Job failed{}", self.first()),
            Cause::PodFailed => format!("the pod failed{}", self.first()),
            Cause::NoVolume => format!("the claim has no volume{}", self.first()),
            Cause::DeadlineExceeded => format!(
                "it made no progress within its own deadline{}",
                self.first()
            ),
        }
    }

    fn who(&self) -> String {
        let pod = self
            .pod
            .as_ref()
            .map(|pod| text::line(&pod.name, text::VALUE));
        match (&self.container, pod) {
            (Some(container), Some(pod)) => {
                format!(
                    "container {} of pod {pod}",
                    text::line(container, text::VALUE)
                )
            }
            (None, Some(pod)) => format!("pod {pod}"),
            _ => "its pods".to_owned(),
        }
    }

    fn first(&self) -> String {
        self.said
            .first()
            .map(|said| format!(": {}", text::line(said, 300)))
            .unwrap_or_default()
    }

    /// What the cluster itself says, one safe line each.
    pub fn lines(&self) -> Vec<String> {
        self.said
            .iter()
            .map(|said| text::line(said, text::LINE).into_owned())
            .collect()
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match &self.cause {
            Cause::ImageNotFound => "push the image, or deploy a tag that was pushed",
            Cause::ImageDenied => {
                "give the cluster a pull secret that is allowed to read the image"
            }
            Cause::ImageInvalid => "fix the image's name in the chart or in the node's values file",
            Cause::ImageNeverPulled => {
                "set imagePullPolicy to IfNotPresent in the chart or in the node's values file"
            }
            Cause::WrongPlatform => "build the image for the platform of the cluster's nodes",
            Cause::Missing { key: Some(_), .. } => {
                "add the key, or fix its name in the chart or in the node's values file"
            }
            Cause::Missing {
                kind: "Namespace" | "PriorityClass" | "RuntimeClass",
                ..
            } => "create it, or fix its name in the chart or in the node's values file",
            Cause::Missing { .. } => {
                "create it in the release's namespace, or fix its name in the chart or in the node's values file"
            }
            Cause::BadContainer | Cause::CannotStart => {
                "fix the container's command, user or mounts in the chart or in the image"
            }
            Cause::CrashLoop { .. } => "the end of its log says why it ended",
            Cause::OomLoop { .. } => "raise the memory limit, or find what uses the memory",
            Cause::Quota => "raise the quota, or request less in the chart",
            Cause::Admission => "fix what admission names in the chart, or have its policy changed",
            Cause::Unschedulable => {
                "fix the pod's node selector, tolerations or requests, or add a node that fits"
            }
            Cause::HeldByOldPod { .. } => {
                "let the Deployment miss a pod (maxUnavailable: 1), or set its strategy to Recreate in the chart"
            }
            Cause::JobFailed | Cause::PodFailed => "the end of its log says why it failed",
            Cause::NoVolume => {
                "create the storage class or a volume for the claim, or fix the class in the chart"
            }
            Cause::DeadlineExceeded => {
                "see what its pods wait for, or raise progressDeadlineSeconds"
            }
        }
    }
}
