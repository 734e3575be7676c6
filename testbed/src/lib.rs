//! A real single-node Kubernetes cluster and a registry that answers as ghcr.io does.
pub mod ghcr;
