//! What the node brings: a cluster and its credentials, helm, deploy.toml, and
//! what happens where one of them fails.
//!
//! Most scenarios are dry runs: they go all the way to the proof, and need no
//! pod.

mod cluster;
mod faults;
mod helm;
mod settings;

use crate::harness::{Helm, Image, Node, Signal};

/// A node with a chart and its images.
struct Shop {
    node: Node,
    api: Image,
    web: Image,
}

impl Shop {
    fn new(scenario: &str, helm: Helm) -> Self {
        let node = Node::new(scenario, helm);
        node.shop("1.0.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        Self { node, api, web }
    }

    /// A good signal.
    fn signal(&self) -> Signal<'_> {
        self.node
            .signal("1.0.0")
            .image("api", self.api.by_tag())
            .image("web", self.web.by_tag())
    }

    /// The same, as a dry run.
    fn dry(&self) -> Signal<'_> {
        self.signal().arg("--dry-run")
    }

    /// Writes /etc/deploy/deploy.toml; `APP` in it is this node's name.
    fn settings(&self, toml: &str) {
        let toml = toml.replace("APP", &self.node.name);
        self.node.home.write_etc("deploy/deploy.toml", &toml, 0o644);
    }
}
