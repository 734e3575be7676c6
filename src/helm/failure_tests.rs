//! What helm 3.22.0 and 4.3.1 said, word for word.

use super::{FailureKind, HelmOperation, read};
use crate::error::Kind;

/// Text, cause, kind while rendering, kind while upgrading, part of the message.
type Case = (&'static str, FailureKind, Kind, Kind, &'static str);

const CASES: &[Case] = &[
    (
        "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nshop:\n- at '/api': got object, want string\n\n",
        FailureKind::Schema,
        Kind::Chart,
        Kind::Chart,
        "values.schema.json",
    ),
    (
        "Error: execution error at (shop/templates/x.yaml:1:3): image is needed\n\nUse --debug flag to render out invalid YAML\n",
        FailureKind::Template,
        Kind::Chart,
        Kind::Chart,
        "does not render at shop/templates/x.yaml:1:3",
    ),
    (
        "Error: template: shop/templates/x.yaml:1:10: executing \"shop/templates/x.yaml\" at <.Values.a.b.c>: nil pointer evaluating interface {}.b\n\nUse --debug flag to render out invalid YAML\n",
        FailureKind::Template,
        Kind::Chart,
        Kind::Chart,
        "at shop/templates/x.yaml:1:10",
    ),
    (
        "Error: shop/templates/x.yaml:1:10\n  executing \"shop/templates/x.yaml\" at <.Values.a.b.c>:\n    nil pointer evaluating interface {}.b\n\nUse --debug flag to render out invalid YAML\n",
        FailureKind::Template,
        Kind::Chart,
        Kind::Chart,
        "at shop/templates/x.yaml:1:10",
    ),
    (
        "Error: parse error at (shop/templates/x.yaml:1): missing value for if\n\nUse --debug flag to render out invalid YAML\n",
        FailureKind::Template,
        Kind::Chart,
        Kind::Chart,
        "at shop/templates/x.yaml:1",
    ),
    (
        "Error: YAML parse error on shop/templates/x.yaml: error converting YAML to JSON: yaml: mapping values are not allowed in this context\n",
        FailureKind::Template,
        Kind::Chart,
        Kind::Chart,
        "at shop/templates/x.yaml",
    ),
    (
        "Error: shop/templates/x.yaml:1:3\n  executing \"shop/templates/x.yaml\" at <include \"nope\" .>:\n    error calling include:\ntemplate: no template \"nope\" associated with template \"gotpl\"\n",
        FailureKind::Template,
        Kind::Chart,
        Kind::Chart,
        "at shop/templates/x.yaml:1:3",
    ),
    (
        "Error: UPGRADE FAILED: chart requires kubeVersion: >=1.99 which is incompatible with Kubernetes v1.34.4\n",
        FailureKind::KubeVersion,
        Kind::Chart,
        Kind::Chart,
        "incompatible with Kubernetes v1.34.4",
    ),
    (
        "Error: An error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: redis\n",
        FailureKind::Dependency,
        Kind::Chart,
        Kind::Chart,
        "lacks one of its dependencies",
    ),
    (
        "Error: failed to parse /etc/deploy/shop.values.yaml: cannot unmarshal yaml document: error converting YAML to JSON: yaml: line 1: did not find expected node content\n",
        FailureKind::Values,
        Kind::Node,
        Kind::Node,
        "values file",
    ),
    (
        "Error: open /nonexistent.yaml: no such file or directory\n",
        FailureKind::Values,
        Kind::Node,
        Kind::Node,
        "values file",
    ),
    (
        "Error: Kubernetes cluster unreachable: Get \"https://127.0.0.1:1/version\": dial tcp 127.0.0.1:1: connect: connection refused\n",
        FailureKind::Unreachable,
        Kind::Node,
        Kind::Node,
        "cannot reach the cluster",
    ),
    (
        "Error: kubernetes cluster unreachable: context \"zz\" does not exist\n",
        FailureKind::Unreachable,
        Kind::Node,
        Kind::Node,
        "cannot reach the cluster",
    ),
    (
        "Error: kubernetes cluster unreachable: the server has asked for the client to provide credentials\n",
        FailureKind::Unauthorized,
        Kind::Node,
        Kind::Node,
        "does not accept the credentials",
    ),
    (
        "Error: query: failed to query with labels: secrets is forbidden: User \"ci\" cannot list resource \"secrets\" in API group \"\" in the namespace \"prod\"\n",
        FailureKind::Forbidden,
        Kind::Node,
        Kind::Node,
        "user ci is not allowed to list secrets in namespace prod",
    ),
    (
        "Error: UPGRADE FAILED: deployments.apps \"api\" is forbidden: User \"system:serviceaccount:x:ci\" cannot patch resource \"deployments\" in API group \"apps\" in the namespace \"prod\"\n",
        FailureKind::Forbidden,
        Kind::Node,
        Kind::Broken,
        "is not allowed to patch deployments.apps in namespace prod",
    ),
    (
        "Error: namespaces is forbidden: User \"ci\" cannot create resource \"namespaces\" in API group \"\" at the cluster scope\n",
        FailureKind::Forbidden,
        Kind::Node,
        Kind::Broken,
        "is not allowed to create namespaces in the whole cluster",
    ),
    (
        "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress\n",
        FailureKind::Pending,
        Kind::Locked,
        Kind::Locked,
        "another helm",
    ),
    (
        "Error: release: already exists\n",
        FailureKind::Pending,
        Kind::Locked,
        Kind::Locked,
        "another helm",
    ),
    (
        "coalesce.go:298: warning: x\nError: UPGRADE FAILED: pre-upgrade hooks failed: 1 error occurred:\n\t* job migrate failed: BackoffLimitExceeded\n\n",
        FailureKind::Hook,
        Kind::Chart,
        Kind::Broken,
        "a hook of the chart failed",
    ),
    (
        "Error: failed pre-install: 1 error occurred:\n\t* timed out waiting for the condition\n\n",
        FailureKind::Hook,
        Kind::Chart,
        Kind::Broken,
        "a hook of the chart failed",
    ),
    (
        "level=WARN msg=\"upgrade failed\" name=shop error=\"pre-upgrade hooks failed: resource Job/prod/migrate not ready. status: Failed, message: Job Failed. failed: 1/1\"\nError: UPGRADE FAILED: pre-upgrade hooks failed: resource Job/prod/migrate not ready. status: Failed, message: Job Failed. failed: 1/1\n",
        FailureKind::Hook,
        Kind::Chart,
        Kind::Broken,
        "a hook of the chart failed",
    ),
    (
        "Error: UPGRADE FAILED: server-side apply failed for object prod/api apps/v1, Kind=Deployment: Deployment.apps \"api\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable\n",
        FailureKind::Immutable,
        Kind::Chart,
        Kind::Broken,
        "changes spec.selector of Deployment api",
    ),
    (
        "Error: UPGRADE FAILED: invalid client update option(s): forceConflicts enabled when serverSideApply disabled\n",
        FailureKind::Other,
        Kind::Chart,
        Kind::Broken,
        "forceConflicts enabled",
    ),
    (
        "Error: UPGRADE FAILED: context deadline exceeded\n",
        FailureKind::Timeout,
        Kind::Chart,
        Kind::Broken,
        "in time",
    ),
    (
        "Error: UPGRADE FAILED: resource Deployment/prod/api not ready. status: InProgress, message: Available: 0/1\ncontext deadline exceeded\n",
        FailureKind::Timeout,
        Kind::Chart,
        Kind::Broken,
        "in time",
    ),
    (
        "Error: UPGRADE FAILED: Unable to continue with update: Service \"api\" in namespace \"prod\" exists and cannot be imported into the current release: invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\"\n",
        FailureKind::Ownership,
        Kind::Chart,
        Kind::Chart,
        "belongs to something else",
    ),
    (
        "Error: UPGRADE FAILED: cannot patch \"migrate\" with kind Job: Job.batch \"migrate\" is invalid: spec.template: Invalid value: {\"labels\":{\"job-name\":\"migrate\"},\"Env\":[{\"Name\":\"PASSWORD\",\"Value\":\"s3cret: x\"}],\"HostnameOverride\":null}: field is immutable\n",
        FailureKind::Immutable,
        Kind::Chart,
        Kind::Broken,
        "changes spec.template of Job migrate",
    ),
    (
        "Error: UPGRADE FAILED: conflict occurred while applying object prod/api apps/v1, Kind=Deployment: Apply failed with 1 conflict: conflict with \"kubectl\" using apps/v1: .spec.replicas\n",
        FailureKind::Conflict,
        Kind::Chart,
        Kind::Broken,
        "another manager",
    ),
    (
        "Error: UPGRADE FAILED: unable to build kubernetes objects from new release manifest: resource mapping not found for name: \"x\" namespace: \"\" from \"\": no matches for kind \"Widget\" in version \"acme.io/v1\"\nensure CRDs are installed first\n",
        FailureKind::UnknownKind,
        Kind::Chart,
        Kind::Chart,
        "does not know",
    ),
    (
        "Error: UPGRADE FAILED: failed to create resource: admission webhook \"v.acme.io\" denied the request: no\n",
        FailureKind::Admission,
        Kind::Chart,
        Kind::Broken,
        "the cluster refuses an object of the chart: admission webhook v.acme.io denied it: no",
    ),
    (
        "Error: create: failed to create: namespaces \"prod\" not found\n",
        FailureKind::NoNamespace,
        Kind::Node,
        Kind::Node,
        "namespace is not there",
    ),
    // Case B6.
    (
        "Error: UPGRADE FAILED: failed to create resource: namespaces \"jobs\" not found\n",
        FailureKind::ObjectWithoutNamespace,
        Kind::Chart,
        Kind::Broken,
        "an object of the chart is in namespace jobs, which is not there",
    ),
    (
        "Error: INSTALLATION FAILED: 1 error occurred:\n\t* namespaces \"jobs\" not found\n\n",
        FailureKind::ObjectWithoutNamespace,
        Kind::Chart,
        Kind::Broken,
        "an object of the chart is in namespace jobs, which is not there",
    ),
    (
        "Error: UPGRADE FAILED: failed to create resource: server-side apply failed for object jobs/api apps/v1, Kind=Deployment: namespaces \"jobs\" not found\n",
        FailureKind::ObjectWithoutNamespace,
        Kind::Chart,
        Kind::Broken,
        "Deployment api is in namespace jobs, which is not there",
    ),
    (
        "Error: UPGRADE FAILED: Get \"https://10.0.0.1:6443/apis/apps/v1/namespaces/prod/deployments/api\": dial tcp 10.0.0.1:6443: connect: connection refused\n",
        FailureKind::Lost,
        Kind::Node,
        Kind::Broken,
        "was lost",
    ),
    (
        "Error: UPGRADE FAILED: update: failed to update: Put \"https://127.0.0.1:43875/api/v1/namespaces/prod/secrets/sh.helm.release.v1.shop.v2\": read tcp 127.0.0.1:55128->127.0.0.1:43875: read: connection reset by peer\n",
        FailureKind::Lost,
        Kind::Node,
        Kind::Broken,
        "was lost",
    ),
    (
        "Error: UPGRADE FAILED: Get \"https://10.0.0.1:6443/api/v1/namespaces/prod/services/web\": EOF\n",
        FailureKind::Lost,
        Kind::Node,
        Kind::Broken,
        "was lost",
    ),
    (
        "Error: \u{1b}[31mnew\n",
        FailureKind::Other,
        Kind::Chart,
        Kind::Broken,
        "helm failed: \\x1b[31mnew",
    ),
    (
        "",
        FailureKind::Other,
        Kind::Chart,
        Kind::Broken,
        "helm failed: nothing",
    ),
];

#[test]
fn helms_words_are_understood() {
    for (said, cause, rendering, upgrading, message) in CASES {
        for (doing, kind) in [
            (HelmOperation::Render, rendering),
            (HelmOperation::Upgrade, upgrading),
        ] {
            let failure = read(doing, said);
            assert_eq!(failure.cause, *cause, "{said}");
            assert_eq!(failure.error.kind(), *kind, "{said}");
            assert!(
                failure.error.to_string().contains(message),
                "{said}: {}",
                failure.error
            );
            let evidence = failure.error.evidence().join("\n");
            assert!(!evidence.contains("s3cret"), "{evidence}");
            assert!(
                !failure
                    .error
                    .evidence()
                    .iter()
                    .any(|line| line.contains("--debug"))
            );
        }
    }
}

#[test]
fn every_pattern_compiles() {
    assert_eq!(super::RULES.len(), 22);
}

/// Case B6: helm 3 names the namespace and not the object; the render has it.
#[test]
fn an_object_without_its_namespace_is_named() {
    let rendered = crate::manifest::Object::parse(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: api}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: jobs}\n",
    )
    .unwrap_or_default();
    let said = |words: &str| {
        let failure = read(HelmOperation::Upgrade, words).naming(&rendered);
        (failure.error.to_string(), failure.error.hints().to_vec())
    };
    let helm_3 =
        "Error: UPGRADE FAILED: failed to create resource: namespaces \"jobs\" not found\n";
    let (message, hints) = said(helm_3);
    assert!(
        message.contains("ConfigMap settings is in namespace jobs, which is not there"),
        "{message}"
    );
    assert_eq!(hints.len(), 1);
    let other = "Error: UPGRADE FAILED: failed to create resource: namespaces \"more\" not found\n";
    let (message, _) = said(other);
    assert!(
        message.contains("an object of the chart is in namespace more"),
        "{message}"
    );
}
