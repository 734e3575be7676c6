//! What a plan is refused for.

use super::*;

#[test]
fn guard_and_policy_come_before_anything_else() {
    let broken = || TestNode::new().with("DEPLOY_TIMEOUT", "broken");
    assert_eq!(broken().inside("pull_request").refused().0, Kind::Policy);
    assert_eq!(broken().inside("issues").refused().0, Kind::Policy);
    assert_eq!(
        broken().file("etc/deploy.toml", "[apps.other]").refused().0,
        Kind::Policy
    );
    assert_eq!(broken().refused().0, Kind::Node);
    let allowed = TestNode::new()
        .file("etc/deploy.toml", "[apps.shop]\nevents = [\"issues\"]")
        .inside("issues");
    assert!(allowed.plan().is_ok());
}

#[test]
fn values_that_are_named_must_be_there() {
    let scene = TestNode::new().file("etc/deploy.toml", "[apps.shop]\nvalues = [\"none.yaml\"]");
    let (kind, told) = scene.refused();
    assert_eq!(kind, Kind::Node);
    assert!(
        told.contains("etc/none.yaml cannot be read: No such file"),
        "{told}"
    );
    let none = TestNode::new()
        .file("runner/shop.values.yaml", "")
        .file("etc/deploy.toml", "[apps.shop]\nvalues = []");
    assert!(none.plan().unwrap().0.values.is_empty());
}
