//! Plans of apps that Argo CD carries out.

use super::*;

const SHOP: &str = "[defaults]\nforward = \"unix:/run/x\"\nkube_context = \"here\"\n\
                    [apps.shop]\nargocd = { kubeconfig = \"hub\" }\nwaves = [[\"a\"], [\"b\"]]\n";

#[test]
fn the_hub_is_the_plans_cluster() {
    let scene = TestNode::new()
        .file("etc/deploy.toml", SHOP)
        .file("runner/shop.values.yaml", "a: b\n");
    let (plan, _) = scene.plan().unwrap();
    assert_eq!(plan.forward, None);
    assert_eq!(plan.release.to_string(), "argocd/shop");
    assert_eq!(plan.lock().to_string(), "argocd/shop");
    let hub = scene.at("etc/hub").into_os_string();
    assert_eq!(plan.kubeconfig.as_ref(), Some(&hub));
    assert_eq!(given(&plan, "KUBECONFIG"), hub.to_str());
    assert_eq!((plan.kube_context, plan.values.len()), (None, 0));
    let fleet = plan.fleet.unwrap();
    let targets: Vec<_> = fleet.targets().map(ToString::to_string).collect();
    assert_eq!(targets, ["a", "b"]);
}

#[test]
fn a_template_is_as_closed_as_deploy_toml() {
    let toml = SHOP.replace("\"hub\" }", "\"hub\", template = \"a.yaml\" }");
    let scene = TestNode::new().file("etc/deploy.toml", &toml);
    let (kind, told) = scene.refused();
    assert_eq!(kind, Kind::Node);
    assert!(told.contains("the template"), "{told}");
    let scene = scene.file("etc/a.yaml", "{}");
    scene.plan().unwrap();
    fs::set_permissions(scene.at("etc/a.yaml"), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(scene.refused().1.contains("may be written by everyone"));
}
