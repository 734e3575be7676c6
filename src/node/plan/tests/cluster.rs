//! Which cluster a plan is for.

use super::super::K3S;
use super::*;

#[test]
fn which_cluster() {
    let scene = || TestNode::new().with("KUBECONFIG", "");
    // Nothing is known: unless this machine is a node of k3s itself.
    if !Path::new(K3S).exists() {
        let (kind, told) = scene().refused();
        assert_eq!(kind, Kind::Node);
        assert!(
            told.contains("no cluster is known") && told.contains("kubeconfig ="),
            "{told}"
        );
        let pod = scene()
            .with("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .plan()
            .unwrap()
            .0;
        assert_eq!(pod.kubeconfig, None);
        assert_eq!(given(&pod, "KUBERNETES_SERVICE_HOST"), Some("10.0.0.1"));
    }
    let home = scene()
        .file("runner/.kube/config", "")
        .with("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert_eq!(
        home.plan().unwrap().0.kubeconfig.unwrap(),
        home.at("runner/.kube/config")
    );
    let relative = home.with("KUBECONFIG", "a.yaml:/b.yaml");
    let list = format!("{}:/b.yaml", relative.at("work/a.yaml").display());
    let (plan, _) = relative.plan().unwrap();
    assert_eq!(plan.kubeconfig.as_deref(), Some(OsStr::new(&list)));
    assert_eq!(given(&plan, "KUBECONFIG"), Some(list.as_str()));
    let set = relative
        .file("etc/deploy.toml", "[defaults]\nkubeconfig = \"/set\"")
        .inside("push");
    let (plan, _) = set.plan().unwrap();
    assert_eq!(given(&plan, "KUBECONFIG"), Some("/set"));
    let (kind, told) = TestNode::new()
        .with("HELM_KUBEAPISERVER", "https://x")
        .refused();
    assert_eq!(kind, Kind::Node);
    assert!(told.contains("unset HELM_KUBEAPISERVER"), "{told}");
    let (plan, _) = TestNode::new()
        .with("HELM_KUBECONTEXT", "mine")
        .plan()
        .unwrap();
    assert_eq!(plan.kube_context.as_deref(), Some("mine"));
    let (plan, warnings) = TestNode::new()
        .with("HELM_KUBECONTEXT", "mine")
        .inside("push")
        .plan()
        .unwrap();
    assert_eq!(plan.kube_context, None);
    assert!(warnings[0].contains("HELM_KUBECONTEXT"));
}
