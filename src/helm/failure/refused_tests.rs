//! What helm 3.22.0 and 4.3.1 say where the API server (1.34.4) refuses an
//! object, as they said it on a cluster.

use snapbox::{IntoData as _, assert_data_eq, str};

use super::{FailureKind, HelmOperation, read};
use crate::error::Kind;

const WEBHOOK: &str = r#"Internal error occurred: failed calling webhook "vcm.acme.io": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=2s": "#;

/// Each said, as its message, its lines and its hints.
fn told(said: &[&str], cause: FailureKind) -> String {
    let mut told = String::new();
    for said in said {
        let failure = read(HelmOperation::Upgrade, &format!("{said}\n"));
        assert_eq!(failure.cause, cause, "{said}");
        assert_eq!(failure.error.kind(), Kind::Broken, "{said}");
        told.push_str(&failure.error.to_string());
        told.push('\n');
        for line in failure.error.evidence() {
            told.push_str(&["  | ", &line, "\n"].concat());
        }
    }
    told
}

/// Case B8: the line that says why is the cause, and not the head of a list.
#[test]
fn what_is_invalid_is_said_in_the_first_line() {
    let said = [
        "Error: 1 error occurred:\n\t* Service \"api\" is invalid: [spec.ports[0].port: Invalid value: 99999999: must be between 1 and 65535, inclusive, spec.ports[0].targetPort: Invalid value: 99999999: must be between 1 and 65535, inclusive]\n\n",
        "Error: server-side apply failed for object prod/api /v1, Kind=Service: Service \"api\" is invalid: spec.ports[0].port: Invalid value: 99999999: must be between 1 and 65535, inclusive",
        "Error: 2 errors occurred:\n\t* Service \"api\" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n\t* Service \"web\" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n\n",
        "Error: 1 error occurred:\n\t* Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string\n\n",
        "Error: server-side apply failed for object prod/api apps/v1, Kind=Deployment: failed to create typed patch object (prod/api; apps/v1, Kind=Deployment): .spec.template.spec.containers[name=\"api\"].env[name=\"SECRET\"].value: expected string, got &value.valueUnstructured{Value:12}",
        "Error: UPGRADE FAILED: cannot patch \"api\" with kind Deployment: Deployment.apps \"api\" is invalid: spec.template.spec.containers[0].image: Required value",
    ];
    assert_data_eq!(told(&said, FailureKind::Invalid), str![[r#"
the cluster refuses Service api: [spec.ports[0].port: Invalid value: 99999999: must be between 1 and 65535, inclusive, spec.ports[0].targetPort: Invalid value: 99999999: must be between 1 and 65535, inclusive]
the cluster refuses Service api: spec.ports[0].port: Invalid value: 99999999: must be between 1 and 65535, inclusive
the cluster refuses Service api: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
the cluster refuses an object of the chart: Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string
the cluster refuses Deployment api: failed to create typed patch object (prod/api; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="api"].env[name="SECRET"].value: expected string
the cluster refuses Deployment api: spec.template.spec.containers[0].image: Required value

"#]].raw());
}

/// Case B8: policies and quotas are no invalid objects.
#[test]
fn what_a_policy_denies_is_said_in_the_first_line() {
    let said = [
        "Error: 1 error occurred:\n\t* configmaps \"cm\" is forbidden: ValidatingAdmissionPolicy 'words' with binding 'words' denied request: no config maps here\n\n",
        "Error: 1 error occurred:\n\t* services \"web\" is forbidden: exceeded quota: q, requested: services=1, used: services=0, limited: services=0\n\n",
        "Error: server-side apply failed for object ps4/p /v1, Kind=Pod: pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false)",
    ];
    assert_data_eq!(told(&said, FailureKind::Admission), str![[r#"
the cluster refuses configmaps cm: ValidatingAdmissionPolicy 'words' with binding 'words' denied request: no config maps here
the cluster refuses services web: exceeded quota: q, requested: services=1, used: services=0, limited: services=0
the cluster refuses Pod p: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)

"#]].raw());
}

/// Case B8: a hook that the API server refuses.
#[test]
fn a_hook_that_is_refused_says_why() {
    let said = [
        "Error: failed pre-install: warning: Hook pre-install shop/templates/migrate.yaml failed: 1 error occurred:\n\t* Job.batch \"mig\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"\n\n",
        "Error: failed pre-install: warning: Hook pre-install shop/templates/migrate.yaml failed: server-side apply failed for object prod/mig batch/v1, Kind=Job: Job.batch \"mig\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        "Error: UPGRADE FAILED: pre-upgrade hooks failed: 1 error occurred:\n\t* job migrate failed: BackoffLimitExceeded\n\n",
    ];
    assert_data_eq!(told(&said, FailureKind::Hook), str![[r#"
a hook of the chart failed at shop/templates/migrate.yaml: Job.batch "mig" is invalid: spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
a hook of the chart failed at shop/templates/migrate.yaml: Job.batch "mig" is invalid: spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
a hook of the chart failed: job migrate failed: BackoffLimitExceeded

"#]].raw());
}

/// Case B3: a webhook that refuses connections, never answers, or is no webhook.
#[test]
fn a_webhook_that_cannot_be_called_is_named() {
    let said = [
        format!("Error: 1 error occurred:\n\t* {WEBHOOK}dial tcp 127.0.0.1:1: connect: connection refused\n\n"),
        format!("Error: UPGRADE FAILED: cannot patch \"cm\" with kind ConfigMap: {WEBHOOK}context deadline exceeded"),
        format!("level=WARN msg=\"upgrade failed\" name=old error=\"x\"\nError: UPGRADE FAILED: server-side apply failed for object wh4/cm /v1, Kind=ConfigMap: {WEBHOOK}context deadline exceeded"),
        "Error: UPGRADE FAILED: cannot patch \"cm\" with kind ConfigMap: Internal error occurred: failed calling webhook \"vcm.acme.io\": failed to call webhook: an error on the server (\"upstream connect error\") has prevented the request from succeeding".to_owned(),
        format!("Error: create: failed to create: {WEBHOOK}dial tcp: lookup policy.acme.svc: no such host"),
        format!("Error: failed pre-install: warning: Hook pre-install cm/templates/o.yaml failed: 1 error occurred:\n\t* {WEBHOOK}x509: certificate signed by unknown authority\n\n"),
        "Error: UPGRADE FAILED: could not get information about the resource Widget \"w\" in namespace \"prod\": conversion webhook for acme.io/v1, Kind=Widget failed: Post \"https://widgets.acme.svc:443/convert?timeout=30s\": dial tcp 10.0.0.9:443: connect: connection refused".to_owned(),
    ];
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let told = told(&said, FailureKind::Webhook);
    assert_data_eq!(told.clone(), str![[r#"
the cluster refuses an object of the chart: admission webhook vcm.acme.io cannot be called: dial tcp 127.0.0.1:1: connect: connection refused
  | Internal error occurred: failed calling webhook "vcm.acme.io": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=2s": dial tcp 127.0.0.1:1: connect: connection refused
the cluster refuses ConfigMap cm: admission webhook vcm.acme.io cannot be called: no answer within 2s
  | cannot patch "cm" with kind ConfigMap: Internal error occurred: failed calling webhook "vcm.acme.io": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=2s": context deadline exceeded
the cluster refuses ConfigMap cm: admission webhook vcm.acme.io cannot be called: no answer within 2s
  | server-side apply failed for object wh4/cm /v1, Kind=ConfigMap: Internal error occurred: failed calling webhook "vcm.acme.io": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=2s": context deadline exceeded
the cluster refuses ConfigMap cm: admission webhook vcm.acme.io cannot be called: an error on the server ("upstream connect error") has prevented the request from succeeding
  | cannot patch "cm" with kind ConfigMap: Internal error occurred: failed calling webhook "vcm.acme.io": failed to call webhook: an error on the server ("upstream connect error") has prevented the request from succeeding
the cluster refuses the release's record: admission webhook vcm.acme.io cannot be called: dial tcp: lookup policy.acme.svc: no such host
  | create: failed to create: Internal error occurred: failed calling webhook "vcm.acme.io": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=2s": dial tcp: lookup policy.acme.svc: no such host
the cluster refuses the hook cm/templates/o.yaml: admission webhook vcm.acme.io cannot be called: x509: certificate signed by unknown authority
  | Internal error occurred: failed calling webhook "vcm.acme.io": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=2s": x509: certificate signed by unknown authority
the cluster refuses an object of the chart: the conversion webhook for acme.io/v1, Kind=Widget cannot be called: dial tcp 10.0.0.9:443: connect: connection refused
  | could not get information about the resource Widget "w" in namespace "prod": conversion webhook for acme.io/v1, Kind=Widget failed: Post "https://widgets.acme.svc:443/convert?timeout=30s": dial tcp 10.0.0.9:443: connect: connection refused

"#]].raw());
    assert!(
        !told.contains("kubeconfig") && !told.contains("credentials"),
        "{told}"
    );
}

/// Case B3: a webhook that denies is quoted, whatever words it uses.
#[test]
fn a_webhook_that_denies_is_quoted() {
    let said = [
        "Error: UPGRADE FAILED: cannot patch \"cm\" with kind ConfigMap: admission webhook \"vcm.acme.io\" denied the request: UNAUTHORIZED: authentication required; [map[Action:pull Class: Name:acme/app Type:repository]]",
        "Error: 1 error occurred:\n\t* admission webhook \"vcm.acme.io\" denied the request: Unauthorized\n\n",
        "Error: 1 error occurred:\n\t* admission webhook \"vcm.acme.io\" denied the request without explanation\n\n",
        "Error: UPGRADE FAILED: server-side apply failed for object wh4/cm /v1, Kind=ConfigMap: admission webhook \"vcm.acme.io\" denied the request: \nresource ConfigMap/x was blocked due to the following policies\n\nno-latest:\n  rule: 'validation error: tag required. rule failed at path /spec'\n",
        "Error: UPGRADE FAILED: pre-upgrade hooks failed: warning: Hook pre-upgrade shop/templates/migrate.yaml failed: 1 error occurred:\n\t* admission webhook \"vcm.acme.io\" denied the request: connection refused: x509: context deadline exceeded\n\n",
    ];
    assert_data_eq!(told(&said, FailureKind::Admission), str![[r"
the cluster refuses ConfigMap cm: admission webhook vcm.acme.io denied it: UNAUTHORIZED: authentication required; [map[Action:pull Class: Name:acme/app Type:repository]]
the cluster refuses an object of the chart: admission webhook vcm.acme.io denied it: Unauthorized
the cluster refuses an object of the chart: admission webhook vcm.acme.io denied it
the cluster refuses ConfigMap cm: admission webhook vcm.acme.io denied it: resource ConfigMap/x was blocked due to the following policies no-latest: rule: 'validation error: tag required. rule failed at path /spec'
the cluster refuses the hook shop/templates/migrate.yaml: admission webhook vcm.acme.io denied it: connection refused: x509: context deadline exceeded

"]].raw());
}

/// Case A11: should helm come to it after all, the record is what is wrong.
#[test]
fn a_record_with_an_api_that_is_gone_is_not_the_charts_fault() {
    let said = "unable to build kubernetes objects from current release manifest: resource mapping not found for name: \"web\" namespace: \"\" from \"\": no matches for kind \"PodDisruptionBudget\" in version \"policy/v1beta1\"\nensure CRDs are installed first";
    for doing in [
        HelmOperation::Upgrade,
        HelmOperation::Rollback,
        HelmOperation::Render,
    ] {
        let failure = read(doing, &format!("Error: UPGRADE FAILED: {said}\n"));
        assert_eq!(failure.cause, FailureKind::StoredApi);
        assert_eq!(failure.error.kind(), Kind::Broken);
        assert_eq!(
            failure.error.to_string(),
            "the release's record holds PodDisruptionBudget web of policy/v1beta1, which the cluster no longer serves"
        );
        assert!(failure.error.hints()[0].contains("helm mapkubeapis"));
    }
    let target = said.replace("current", "new");
    let failure = read(HelmOperation::Rollback, &format!("Error: {target}\n"));
    assert_eq!(failure.cause, FailureKind::StoredApi);
    let failure = read(HelmOperation::Upgrade, &format!("Error: {target}\n"));
    assert_eq!(failure.cause, FailureKind::UnknownKind);
}

#[test]
fn values_that_the_api_server_quotes_are_left_out() {
    let long = "s3cret: ".repeat(10);
    for (value, shown) in [
        (
            format!("a: Invalid value: \"{long}\": too long, b: Invalid value: 7: too few"),
            "a: Invalid value: (left out): too long, b: Invalid value: 7: too few",
        ),
        (
            format!("a: Invalid value: {{\"x\":[\"{long}\"]}}: field is immutable"),
            "a: Invalid value: (left out): field is immutable",
        ),
        // Servers before 1.34 wrote Go's own syntax.
        (
            format!(
                "a: Invalid value: core.PodTemplateSpec{{Value:\"{long}\\\" x\"}}: field is immutable"
            ),
            "a: Invalid value: (left out): field is immutable",
        ),
        (
            format!("a: Invalid value: {{\"{long}: too long"),
            "a: Invalid value: (left out): too long",
        ),
    ] {
        let error = read(
            HelmOperation::Upgrade,
            &format!("Error: Job.batch \"x\" is invalid: {value}"),
        )
        .error;
        let told = format!("{error} {:?}", error.evidence());
        assert!(told.contains(shown) && !told.contains("s3cret"), "{told}");
    }
}
