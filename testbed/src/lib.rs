//! A real single-node Kubernetes cluster and a registry that answers as ghcr.io does.

mod archive;
pub mod chart;
pub mod ghcr;
pub mod image;
