//! The scenarios: each runs the real `deploy` against real Helm 3 and 4, a real
//! apiserver and kubelet, and a registry that answers as ghcr.io does.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(
    unreachable_pub,
    reason = "modules of one binary; nobody else reads them"
)]

mod argocd;
mod attested;
mod bumpy;
mod cancel;
mod chaos;
mod contract;
mod controllers;
mod corpus;
mod crash;
mod crowd;
mod deploys;
mod doctor;
mod failures;
mod forward;
mod fulcio;
mod harness;
mod hosted;
mod hostile;
mod images;
mod install;
mod journal;
mod lease;
mod node;
mod obstacles;
mod old_script;
mod operate;
mod paused;
mod provenance;
mod readme;
mod receive;
mod registry;
mod report;
mod rights;
mod rollback;
mod scale;
mod verdict;
