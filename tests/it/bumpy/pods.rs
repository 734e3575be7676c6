//! Pods that come right after a while.

use std::fs;
use std::time::Duration;

use testbed::ghcr::{Fault, Kind, Policy};

use super::Case;
use super::made::{hook, plain, with_hook};

pub(super) const CASES: &[Case] = &[
    ("late-readiness", |bump| {
        bump.serves();
        bump.deploys(&plain(), "slow-start 6s")
    }),
    ("first-restart", |bump| {
        bump.serves();
        bump.deploys(&plain().data(&bump.data), "need-starts 2")
    }),
    ("slow-init", |bump| {
        bump.serves();
        let args = r#""once", "once-sleep 5s""#;
        bump.deploys(&plain().init("prepare", args, ""), "")
    }),
    ("init-second-try", |bump| {
        bump.serves();
        let args = r#""once", "need-starts 2""#;
        let mount = ", volumeMounts: [{name: data, mountPath: /data}]";
        let made = plain().data(&bump.data).init("prepare", args, mount);
        bump.deploys(&made, "")
    }),
    ("sidecar-flaps", |bump| {
        bump.serves();
        let made = plain().beside("flaps", r#""crash-after 2s", "hang""#);
        bump.deploys(&made, "slow-start 5s")
    }),
    ("native-sidecar-flaps", |bump| {
        bump.serves();
        let args = r#""crash-after 2s", "hang""#;
        let made = plain().init("flaps", args, ", restartPolicy: Always");
        bump.deploys(&made, "slow-start 5s")
    }),
    ("flapping-sidecar-on-install", |bump| {
        let made = plain().beside("flaps", r#""crash-after 1s", "hang""#);
        bump.deploys(&made, "slow-start 4s")
    }),
    ("late-dependency", |bump| {
        let made = plain().data(&bump.data);
        let running = bump.deploys(&made, "need-file /data/up");
        bump.new_pod();
        bump.late(5, 60);
        fs::write(format!("{}/up", bump.data), "").unwrap();
        running
    }),
    ("old-pods-crash", |bump| {
        bump.serves_as(&plain(), "crash-after 4s");
        bump.deploys(&plain(), "slow-start 6s")
    }),
    ("fix-for-a-crash", |bump| {
        bump.serves();
        let crashes = bump.signal(&plain(), "0.1.1", "t1-crash", "exit 3");
        crashes.env("DEPLOY_ATOMIC", "0").run().exits(8);
        bump.deploys(&with_hook(hook(&["once-sleep 8s"])), "")
    }),
    ("fix-without-hook", |bump| {
        bump.serves();
        let crashes = bump.signal(&plain(), "0.1.1", "t1-crash", "exit 3");
        crashes.env("DEPLOY_ATOMIC", "0").run().exits(8);
        bump.deploys(&plain(), "slow-start 4s")
    }),
    ("old-pods-stay-long", |bump| {
        let grace = "terminationGracePeriodSeconds: 1";
        let made = plain().replace(grace, "terminationGracePeriodSeconds: 15");
        bump.serves_as(&made, "term-delay 8s");
        bump.deploys(&made, "")
    }),
    ("slow-startup", |bump| {
        bump.serves();
        let probe = "startupProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, failureThreshold: 60}";
        bump.deploys(&plain().container(probe), "slow-start 6s")
    }),
    ("pod-deleted", |bump| {
        bump.serves();
        let running = bump.deploys(&plain(), "slow-start 4s");
        let pod = bump.new_pod();
        bump.node.kubectl(&["delete", "pod", &pod, "--wait=false"]);
        running
    }),
    ("pod-evicted", |bump| {
        bump.serves();
        let running = bump.deploys(&plain(), "slow-start 4s");
        let (pod, namespace) = (bump.new_pod(), &bump.node.name);
        let eviction = format!(
            r#"{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{pod}","namespace":"{namespace}"}}}}"#
        );
        bump.node.home.write("eviction.json", &eviction, 0o600);
        let file = bump.node.home.inside("eviction.json");
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction");
        bump.node
            .kubectl(&["create", "--raw", &path, "-f", file.to_str().unwrap()]);
        running
    }),
    ("pod-given-up-by-its-node", |bump| {
        bump.serves();
        let running = bump.deploys(&plain(), "slow-start 4s");
        let pod = bump.new_pod();
        let status = r#"{"status":{"phase":"Failed","reason":"Evicted","message":"The node was low on resource: memory."}}"#;
        bump.node
            .kubectl(&["patch", "pod", &pod, "--subresource=status", "-p", status]);
        running
    }),
    ("slow-pull", |bump| {
        bump.serves();
        let slow = Fault::delay(Kind::Blob, Duration::from_secs(4)).package("shop/api");
        bump.node.registry(&Policy::public().fault(slow));
        bump.deploys(&plain(), "print a layer of its own")
    }),
    ("registry-unwell", |bump| {
        bump.serves();
        // The first is ours, the rest are the kubelet's.
        let unwell = Fault::status(Kind::Manifest, 503).package("shop/api");
        bump.node
            .registry(&Policy::public().fault(unwell.skip(1).times(2)));
        bump.deploys(&plain(), "")
    }),
];
