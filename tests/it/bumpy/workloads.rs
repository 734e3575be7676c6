//! Workloads of every kind, each in its own way of becoming ready.

use super::Case;
use super::made::{hook, plain, with_hook};
use crate::harness::until;
use testbed::chart::Hook;

pub(super) const CASES: &[Case] = &[
    ("statefulset-in-order", |bump| {
        let made = plain().workload("StatefulSet", "db", "serviceName: db\n  replicas: 2");
        bump.serves_as(&made, "");
        bump.deploys(&made, "slow-start 2s")
    }),
    ("statefulset-on-delete", |bump| {
        let spec = "serviceName: db\n  updateStrategy: {type: OnDelete}";
        let made = plain().workload("StatefulSet", "db", spec);
        bump.serves_as(&made, "");
        bump.deploys(&made, "")
    }),
    ("statefulset-partition", |bump| {
        let spec =
            "serviceName: db\n  replicas: 2\n  updateStrategy: {rollingUpdate: {partition: 1}}";
        let made = plain().workload("StatefulSet", "db", spec);
        bump.serves_as(&made, "");
        bump.deploys(&made, "")
    }),
    ("daemonset", |bump| {
        let made = plain().workload("DaemonSet", "agent", "minReadySeconds: 1");
        bump.serves_as(&made, "");
        bump.deploys(&made, "slow-start 2s")
    }),
    ("daemonset-on-delete", |bump| {
        let made = plain().workload("DaemonSet", "agent", "updateStrategy: {type: OnDelete}");
        bump.serves_as(&made, "");
        bump.deploys(&made, "")
    }),
    ("paused", |bump| {
        bump.serves();
        bump.deploys(&plain().workload("Deployment", "later", "paused: true"), "")
    }),
    ("no-replicas", |bump| {
        let made = plain().workload("Deployment", "idle", "replicas: 0");
        bump.serves_as(&made, "");
        bump.deploys(&made, "")
    }),
    ("recreate", |bump| {
        let made = plain().spec("strategy: {type: Recreate}");
        bump.serves_as(&made, "term-delay 2s");
        bump.deploys(&made, "slow-start 3s")
    }),
    ("scaled-in-the-middle", |bump| {
        bump.serves();
        let running = bump.deploys(&plain(), "slow-start 4s");
        bump.new_pod();
        let api = format!("{}-api", bump.node.name);
        bump.node
            .kubectl(&["scale", "deployment", &api, "--replicas=3"]);
        running
    }),
    ("autoscaled-in-the-middle", |bump| {
        bump.serves();
        let running = bump.deploys(&plain(), "slow-start 6s");
        bump.new_pod();
        let api = format!("{}-api", bump.node.name);
        let deployment = ["deployment", api.as_str()];
        // An autoscaler that finds fewer than its least needs no metrics to add them.
        let limits = ["--min=3", "--max=4", "--cpu-percent=80"];
        bump.node
            .kubectl(&[&["autoscale"][..], &deployment, &limits].concat());
        until("it is scaled", || {
            let replicas = [
                &["get"][..],
                &deployment,
                &["-o", "jsonpath={.spec.replicas}"],
            ];
            bump.node.kubectl(&replicas.concat()) == "3"
        });
        running
    }),
    ("ready-for-a-while", |bump| {
        bump.serves();
        bump.deploys(&plain().spec("minReadySeconds: 4"), "")
    }),
    ("many-replicas", |bump| {
        let made = plain().replicas(4);
        bump.serves_as(&made, "");
        bump.deploys(&made, "slow-start 1s")
    }),
    ("suspended-job", |bump| {
        bump.serves();
        let made = plain().job("later", "suspend: true", "Never", r#""once""#, &bump.data);
        bump.deploys(&made, "")
    }),
    ("hook-third-try", |bump| {
        bump.serves();
        let retried = Hook {
            backoff_limit: 3,
            data: Some(bump.data.clone()),
            ..hook(&["need-starts 3"])
        };
        bump.deploys(&with_hook(retried), "")
    }),
    ("job-third-try", |bump| {
        bump.serves();
        let args = r#""once", "need-starts 3""#;
        let made = plain().job("seed", "backoffLimit: 4", "OnFailure", args, &bump.data);
        bump.deploys(&made, "")
    }),
    ("slow-hook", |bump| {
        bump.serves();
        bump.deploys(&with_hook(hook(&["once-sleep 6s"])), "")
    }),
];
