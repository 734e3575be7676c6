//! Pods, cut down to what is judged.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{annotation, controller, cut, kept, key, label};
use crate::manifest::quantity::{Amounts, amounts};
use crate::rollout::model::{ContainerStatus, Pod, PodPhase, PodPresence, Role, State, Terminated};

impl From<core::Pod> for Pod {
    fn from(object: core::Pod) -> Self {
        let (meta, spec, status) = (
            object.metadata,
            object.spec.unwrap_or_default(),
            object.status.unwrap_or_default(),
        );
        let holds = |kind: &str| {
            status
                .conditions
                .iter()
                .flatten()
                .find(|one| one.type_ == kind)
        };
        let (requests, host_ports) = (requests(&spec), host_ports(&spec));
        let containers = containers(&spec, &status);
        Self {
            key: key(&meta),
            owner: controller(&meta),
            revision: label(&meta, "controller-revision-hash"),
            template_generation: label(&meta, "pod-template-generation"),
            default_container: annotation(&meta, "kubectl.kubernetes.io/default-container")
                .cloned(),
            presence: if meta.deletion_timestamp.is_some() {
                PodPresence::Leaving
            } else {
                PodPresence::Here
            },
            uid: meta.uid.unwrap_or_default(),
            phase: match status.phase.as_deref() {
                Some("Running") => PodPhase::Running,
                Some("Succeeded") => PodPhase::Succeeded,
                Some("Failed") => PodPhase::Failed,
                _ => PodPhase::Pending,
            },
            reason: kept(status.reason.as_ref()),
            message: kept(status.message.as_ref()),
            ready: holds("Ready").is_some_and(|one| one.status == "True"),
            gated: holds("Ready")
                .filter(|one| one.reason.as_deref() == Some("ReadinessGatesNotReady"))
                .map(|one| kept(one.message.as_ref())),
            unscheduled: holds("PodScheduled")
                .filter(|one| one.status == "False")
                .map(|one| (kept(one.reason.as_ref()), kept(one.message.as_ref()))),
            restarts_always: spec.restart_policy.as_deref().unwrap_or("Always") == "Always",
            node: spec.node_name,
            containers,
            pull_secrets: spec
                .image_pull_secrets
                .into_iter()
                .flatten()
                .map(|secret| secret.name)
                .collect(),
            claims: spec
                .volumes
                .into_iter()
                .flatten()
                .filter_map(|volume| volume.persistent_volume_claim.map(|claim| claim.claim_name))
                .collect(),
            requests,
            host_ports,
            tolerations: spec
                .tolerations
                .into_iter()
                .flatten()
                .map(Into::into)
                .collect(),
        }
    }
}

/// The ports that a pod needs of its node.
fn host_ports(spec: &core::PodSpec) -> BTreeSet<String> {
    let ports = spec
        .containers
        .iter()
        .flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            port.host_port.map(|number| format!("{protocol} {number}"))
        })
        .collect()
}

/// What a pod asks of a node: its containers together, or its largest init
/// container (`PodRequests` of `k8s.io/component-helpers/resource`).
fn requests(spec: &core::PodSpec) -> Amounts {
    let of = |container: &core::Container| {
        let requests = container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.as_ref());
        requests.map(amounts).unwrap_or_default()
    };
    let mut together = Amounts::new();
    for container in &spec.containers {
        for (name, amount) in of(container) {
            *together.entry(name).or_insert(0) += amount;
        }
    }
    for container in spec.init_containers.iter().flatten() {
        for (name, amount) in of(container) {
            let sum = together.entry(name).or_insert(0);
            *sum = (*sum).max(amount);
        }
    }
    together
}

fn containers(spec: &core::PodSpec, status: &core::PodStatus) -> Vec<ContainerStatus> {
    let index =
        |list: &Option<Vec<core::ContainerStatus>>| -> BTreeMap<String, core::ContainerStatus> {
            list.iter()
                .flatten()
                .map(|one| (one.name.clone(), one.clone()))
                .collect()
        };
    let (init, main) = (
        index(&status.init_container_statuses),
        index(&status.container_statuses),
    );
    let inits = spec.init_containers.iter().flatten().map(|container| {
        let stays = container.restart_policy.as_deref() == Some("Always");
        join(
            container,
            init.get(&container.name),
            if stays { Role::Sidecar } else { Role::Init },
        )
    });
    inits
        .chain(
            spec.containers
                .iter()
                .map(|container| join(container, main.get(&container.name), Role::Main)),
        )
        .collect()
}

fn join(
    container: &core::Container,
    status: Option<&core::ContainerStatus>,
    role: Role,
) -> ContainerStatus {
    let state = status.and_then(|status| status.state.as_ref());
    let state = match state {
        Some(core::ContainerState {
            running: Some(_), ..
        }) => State::Running,
        Some(core::ContainerState {
            terminated: Some(end),
            ..
        }) => State::Terminated(ended(end)),
        Some(core::ContainerState {
            waiting: Some(waiting),
            ..
        }) => State::Waiting {
            reason: kept(waiting.reason.as_ref()),
            message: kept(waiting.message.as_ref()),
        },
        _ => State::Waiting {
            reason: String::new(),
            message: String::new(),
        },
    };
    ContainerStatus {
        name: container.name.clone(),
        image: kept(container.image.as_ref()),
        image_id: kept(status.map(|status| &status.image_id)),
        role,
        ready: status.is_some_and(|status| status.ready),
        restarts: status
            .and_then(|status| u32::try_from(status.restart_count).ok())
            .unwrap_or(0),
        state,
        last: status
            .and_then(|status| status.last_state.as_ref())
            .and_then(|state| state.terminated.as_ref())
            .map(ended),
        probe: container.readiness_probe.as_ref().and_then(probe),
    }
}

/// A probe in words.
fn probe(probe: &core::Probe) -> Option<String> {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    let words = if let Some(get) = &probe.http_get {
        format!(
            "GET :{}{}",
            port(&get.port),
            get.path.as_deref().unwrap_or("/")
        )
    } else if let Some(tcp) = &probe.tcp_socket {
        format!("connect to :{}", port(&tcp.port))
    } else if let Some(grpc) = &probe.grpc {
        format!("gRPC health of :{}", grpc.port)
    } else {
        probe.exec.as_ref()?.command.as_ref()?.join(" ")
    };
    Some(cut(&words))
}

fn ended(end: &core::ContainerStateTerminated) -> Terminated {
    Terminated {
        code: end.exit_code,
        reason: kept(end.reason.as_ref()),
        message: kept(end.message.as_ref()),
    }
}
