//! What each right is used for, and what is lost without it: the words of `deploy doctor`
//! and of `docs/rights.md`. Pure data.

use self::Purpose::{
    Autoscaler, Autoscalers, HelmWait, Jobs, Lease, Logs, Namespace, Nodes, OwnStatus, Reasons,
    Recheck, Records, Rollout, StuckPods, Verification, Volumes,
};

/// Whether a deploy fails without a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It fails.
    Needed,
    /// It works, and something is lost.
    Helpful,
}

/// What a right is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Helm's records: read, written and settled.
    Records,
    /// Comparing the workloads of the cluster with the release.
    Verification,
    /// Helm's own wait for a Deployment.
    HelmWait,
    /// Watching the workloads while they roll out.
    Rollout,
    /// Watching what events and claims say.
    Reasons,
    /// Reading logs.
    Logs,
    /// Reading an object that the kubelet misses.
    Recheck,
    /// Jobs that are in the way: left by an interrupted deploy, or unchangeable.
    Jobs,
    /// Deleting a pod that its controller will not replace.
    StuckPods,
    /// Workloads of other groups that are judged by their own status.
    OwnStatus,
    /// The release's Lease.
    Lease,
    /// The release's namespace.
    Namespace,
    /// What the nodes offer.
    Nodes,
    /// What a claim can be bound to.
    Volumes,
    /// Whether nodes can be added.
    Autoscaler,
    /// What scales the release's workloads.
    Autoscalers,
}

impl Purpose {
    /// Every purpose, in the order of the table.
    pub const ALL: [Self; 16] = [
        Records,
        Verification,
        HelmWait,
        Rollout,
        Reasons,
        Logs,
        Recheck,
        Jobs,
        StuckPods,
        OwnStatus,
        Lease,
        Namespace,
        Nodes,
        Volumes,
        Autoscaler,
        Autoscalers,
    ];

    /// Whether a deploy fails without its rights.
    pub const fn need(self) -> Need {
        match self {
            Records | Verification | HelmWait => Need::Needed,
            _ => Need::Helpful,
        }
    }

    /// What the rights are used for.
    pub const fn text(self) -> &'static str {
        match self {
            Records => "helm's records of the release",
            Verification => "comparing the workloads with the release after helm",
            HelmWait => "helm's wait for a Deployment",
            Rollout => "watching the rollout",
            Reasons => "the reasons that events and claims give",
            Logs => "logs for the evidence",
            Recheck => "a second look at what the kubelet reports as missing",
            Jobs => "Jobs that an interrupted deploy left, or that cannot be changed",
            StuckPods => "a pod that is not Ready and that its StatefulSet will not replace",
            OwnStatus => "what a Rollout or a Canary says of itself",
            Lease => "one deploy of a release at a time, from whatever node",
            Namespace => "the release's namespace",
            Nodes => "what the nodes offer",
            Volumes => "what a claim can be bound to",
            Autoscaler => "the cluster autoscaler's status",
            Autoscalers => "autoscalers of the release's workloads",
        }
    }

    /// What is lost without them.
    pub const fn loss(self) -> &'static str {
        match self {
            Records | Verification | HelmWait => "a deploy fails",
            Rollout => {
                "a rollout that fails for good is noticed only when helm's time is up, progress is not shown, and Helm 4 waits in its older way (--wait=legacy)"
            }
            Reasons => {
                "failures that only events tell of (quota, admission, scheduling, claims) are noticed only when helm's time is up"
            }
            Logs => "the evidence of a failed rollout has no logs",
            Recheck => {
                "the kubelet's last report counts, even where the missing object has come since"
            }
            Jobs => {
                "a hook's Job of an interrupted deploy is neither waited for nor removed where helm fails on it, and a Job that cannot be changed is noticed by helm only"
            }
            StuckPods => {
                "a StatefulSet whose pod is broken comes right, forward or back, only when a person deletes that pod"
            }
            OwnStatus => "whether a Rollout or a Canary succeeded is not checked",
            Lease => "deploys from two nodes are not kept apart",
            Namespace => "a namespace that is not there has to be created by an administrator",
            Nodes => {
                "images are not compared with the nodes' platforms, and a pod that fits no node is noticed only when time is up"
            }
            Volumes => "a claim that nothing can fill is noticed only when time is up",
            Autoscaler => {
                "a pod that fits no node is noticed late, since a new node might still come"
            }
            Autoscalers => {
                "there is no warning where the chart sets the replicas of what an autoscaler scales"
            }
        }
    }
}
