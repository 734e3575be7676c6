//! Plans of apps whose signals go to a controller.

use super::*;

#[test]
fn a_forwarded_app_needs_no_cluster_and_no_values() {
    let scene = TestNode::new()
        .with("KUBECONFIG", "")
        .with("HELM_KUBETOKEN", "x")
        .file(
            "etc/deploy.toml",
            "[defaults]\nforward = \"unix:/run/x\"\n[apps.shop]\nvalues = [\"none.yaml\"]\n",
        );
    let (plan, warnings) = scene.plan().unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(plan.forward.unwrap().target.to_string(), "unix:/run/x");
    assert_eq!((plan.kubeconfig, plan.values.len()), (None, 0));

    let own = "[defaults]\nforward = \"unix:/run/x\"\n[apps.shop]\nforward = \"helm\"\n";
    let scene = TestNode::new().file("etc/deploy.toml", own);
    assert_eq!(scene.plan().unwrap().0.forward, None);
}

#[test]
fn a_token_is_only_its_readers() {
    let toml = "[defaults]\nforward = { url = \"https://c.example\", token_file = \"token\" }\n";
    let scene = TestNode::new().file("etc/deploy.toml", toml);
    let (kind, told) = scene.refused();
    assert_eq!(kind, Kind::Node);
    assert!(
        told.contains("the token file") && told.contains("cannot be read"),
        "{told}"
    );
    for (content, mode, says) in [
        ("s3cret\n", 0o644, "may be read by everyone (mode 0644)"),
        ("s3cret\n", 0o620, "may be written by its group (mode 0620)"),
        ("two words", 0o600, "holds no token, expected one line"),
        ("", 0o600, "holds no token"),
    ] {
        let scene = TestNode::new()
            .file("etc/deploy.toml", toml)
            .file("etc/token", content);
        fs::set_permissions(scene.at("etc/token"), fs::Permissions::from_mode(mode)).unwrap();
        let (kind, told) = scene.refused();
        assert_eq!(kind, Kind::Node);
        assert!(told.contains(says) && !told.contains("s3cret"), "{told}");
    }
    let scene = TestNode::new()
        .file("etc/deploy.toml", toml)
        .file("etc/token", "s3cret\n");
    fs::set_permissions(scene.at("etc/token"), fs::Permissions::from_mode(0o640)).unwrap();
    let (plan, _) = scene.plan().unwrap();
    assert!(!format!("{plan:?}").contains("s3cret"));
    assert_eq!(
        plan.forward.unwrap().token.unwrap().header(),
        "Bearer s3cret"
    );
}
