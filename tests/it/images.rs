//! What the registry tells of the images before anything is touched: the
//! platforms that they are built for, and tags that have moved.

use testbed::image::{Platform, Spec};

use crate::harness::{Helm, Image, Node, Ran};

fn other() -> Platform {
    match Platform::here() {
        Platform::Amd64 => Platform::Arm64,
        Platform::Arm64 => Platform::Amd64,
    }
}

fn deploy(node: &Node, api: &Image) -> Ran {
    node.shop("0.1.0");
    let web = node.image("web", "t1");
    let signal = node.signal("0.1.0").image("api", api.by_tag());
    signal.image("web", web.by_tag()).run()
}

/// One manifest, whose config alone tells its platform. Case C10: nodes that run it
/// all the same are the operator's to know.
#[test]
fn an_image_for_another_platform_touches_nothing() {
    let node = Node::new("platform", Helm::V4);
    let spec = Spec {
        platforms: vec![other()],
        ..Spec::default()
    };
    let api = node.image_with("api", "t1", spec);
    let (here, other) = (Platform::here(), other());
    deploy(&node, &api).exits(6).says(&format!(
        "no node can run api: {} is built for linux/{other}, the cluster's nodes are linux/{here}",
        api.by_tag()
    ));
    assert_eq!(node.namespaces(), "");
    let emulated = format!("[apps.{}]\nplatforms = [\"linux/{other}\"]\n", node.name);
    node.home.write("deploy.toml", &emulated, 0o600);
    let web = node.image("web", "t1");
    let signal = node.signal("0.1.0").image("api", api.by_tag());
    let dry = signal.image("web", web.by_tag()).arg("--dry-run");
    dry.run().exits(0);
}

/// An index for other platforms is as good as none; one with ours among them
/// runs.
#[test]
fn an_index_is_for_the_platforms_that_it_lists() {
    let node = Node::new("index", Helm::V3);
    let api = node.image_with("api", "t1", Spec::default().index(&[other()]));
    deploy(&node, &api).exits(6).says("no node can run api");
    let both = Spec::default().index(&[Platform::Amd64, Platform::Arm64]);
    let api = node.image_with("api", "t2", both);
    deploy(&node, &api).exits(0).never_says("platform");
    assert!(node.running().contains(&api.by_tag()));
}

/// The node has the image of that tag, and the chart does not pull it again.
#[test]
fn a_tag_that_moved_is_told() {
    let node = Node::new("moved", Helm::V4);
    let api = node.image("api", "main");
    deploy(&node, &api).exits(0);
    deploy(&node, &api).exits(0).never_says("means sha256:");
    let moved = node.image_with("api", "main", Spec::behaving("print anew"));
    assert_ne!(moved.digest, api.digest);
    deploy(&node, &moved)
        .exits(0)
        .says(&format!("means {} now", &moved.digest[..19]))
        .says(&format!("meant {} when", &api.digest[..19]))
        .says("pulls it IfNotPresent");
}
