//! What in a release's records stands in helm's way, so that no upgrade can
//! succeed and none should be tried: an uninstall that did not end, and a
//! stored manifest that the cluster cannot read any more.
//!
//! Pure: records in, a problem out. In doubt it says nothing: helm has the last
//! word.

use super::record::{Record, Status};
use super::store;
use crate::error::Problem;
use crate::manifest::{Object, is_kubernetes_group};
use crate::plan::ReleaseId;
use crate::text;

/// The release is being uninstalled: helm refuses to upgrade it, whatever an
/// older record says, and its objects are gone or on their way. `records` from the
/// oldest to the newest.
pub fn uninstalling(records: &[Record], release: &ReleaseId) -> Option<Problem> {
    let last = records
        .last()
        .filter(|last| last.status == Status::Uninstalling)?;
    // helm.sh/helm/v3@v3.22.0/pkg/action/uninstall.go: set when it begins.
    let since = last
        .json
        .pointer("/info/deleted")
        .and_then(serde_json::Value::as_str)
        .filter(|since| !since.is_empty())
        .map_or_else(String::new, |since| {
            format!(" since {}", text::line(since, text::VALUE))
        });
    let name = text::line(&release.name, text::VALUE);
    Some(
        Problem::new(format!(
            "release {name} is being uninstalled{since}: a helm uninstall is at work, or was cut short"
        ))
        .detail(format!(
            "its last record {} is `uninstalling`: {}",
            text::line(&store::name(release, last.revision), text::VALUE),
            text::line(&last.description, text::VALUE)
        ))
        .hint(format!(
            "finish it: helm uninstall {name} --namespace {}; the same signal installs the release anew then",
            text::line(&release.namespace, text::VALUE)
        )),
    )
}

/// The manifest that the next upgrade compares with has a kind that `served`
/// (of API version and kind) does not know: helm fails before it renders
/// anything, and a bare `helm rollback` even leaves a pending record.
pub fn unserved(
    records: &[Record],
    release: &ReleaseId,
    served: impl Fn(&str, &str) -> bool,
) -> Option<Problem> {
    let current = current(records)?;
    let stored = Object::parse(&current.manifest).ok()?;
    let mut gone = stored
        .iter()
        .filter(|object| !served(&object.reference.api_version, &object.reference.kind));
    let first = gone.next()?;
    let api = text::line(&first.reference.api_version, text::VALUE);
    let record = store::name(release, current.revision);
    let record = text::line(&record, text::VALUE);
    let name = text::line(&release.name, text::VALUE);
    let namespace = text::line(&release.namespace, text::VALUE);
    let problem = Problem::new(format!(
        "the stored record {record} holds {first} of {api}, which the cluster does not serve: helm can neither upgrade the release nor roll it back"
    ));
    let problem = problem.details(gone.map(|object| {
        let api = text::line(&object.reference.api_version, text::VALUE);
        format!("it holds {object} of {api} as well")
    }));
    Some(if is_kubernetes_group(first.reference.group()) {
        problem
            .hint(format!(
                "let the record name an API that is served: helm mapkubeapis {name} --namespace {namespace}"
            ))
            .hint("it is a plugin: helm plugin install https://github.com/helm/helm-mapkubeapis")
    } else {
        let kind = text::line(&first.reference.kind, text::VALUE);
        problem.hint(format!(
            "install the CustomResourceDefinition of {kind} ({api}) again: helm reads the old object before it applies the new ones"
        ))
    })
}

/// The record whose manifest the next `helm upgrade --install` compares with
/// (`prepareUpgrade` in `pkg/action/upgrade.go`, alike in helm 3.22.0 and 4.3.1);
/// none where it installs anew or refuses by itself.
fn current(records: &[Record]) -> Option<&Record> {
    let last = records.last()?;
    let deployed = || {
        records
            .iter()
            .rfind(|record| record.status == Status::Deployed)
    };
    match last.status {
        Status::Uninstalled | Status::Uninstalling => None,
        Status::Deployed => Some(last),
        Status::Failed | Status::Superseded => deployed().or(Some(last)),
        _ => deployed(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{uninstalling, unserved};
    use crate::plan::ReleaseId;
    use crate::release::record::{Record, read};

    const OLD: &str = "policy/v1beta1/PodDisruptionBudget";

    fn release() -> ReleaseId {
        ReleaseId {
            name: "shop".to_owned(),
            namespace: "prod".to_owned(),
        }
    }

    /// `status` or `status:apiVersion/Kind`, each a revision.
    fn records(words: &str) -> Vec<Record> {
        let record = |(at, word): (usize, &str)| {
            let (status, api) = word.split_once(':').unwrap_or((word, "v1/Service"));
            let (version, kind) = api.rsplit_once('/').unwrap();
            let manifest = format!(
                "---\n# Source: shop/templates/web.yaml\napiVersion: {version}\nkind: {kind}\nmetadata:\n  name: web\n"
            );
            let info = json!({"status": status, "description": "x"});
            read(json!({"version": at + 1, "info": info, "manifest": manifest})).unwrap()
        };
        words.split_whitespace().enumerate().map(record).collect()
    }

    /// Case A11: the record that helm would compare with is the one that counts.
    #[test]
    fn a_record_with_an_api_that_is_gone_is_named() {
        let served = |version: &str, _: &str| matches!(version, "v1" | "policy/v1");
        for (words, revision) in [
            ("deployed:OLD", Some(1)),
            ("superseded deployed:OLD", Some(2)),
            ("deployed:OLD failed", Some(1)),
            ("deployed:OLD pending-upgrade", Some(1)),
            ("failed:OLD", Some(1)),
            ("superseded:OLD superseded", None),
            ("superseded:OLD deployed", None),
            ("deployed failed:OLD", None),
            // Helm installs anew, or refuses by itself.
            ("superseded:OLD uninstalled:OLD", None),
            ("pending-install:OLD", None),
            ("", None),
            ("deployed:policy/v1/PodDisruptionBudget", None),
        ] {
            let problem = unserved(&records(&words.replace("OLD", OLD)), &release(), served);
            let expected = revision.map(|revision| {
                format!("the stored record sh.helm.release.v1.shop.v{revision} holds PodDisruptionBudget web of policy/v1beta1, which the cluster does not serve: helm can neither upgrade the release nor roll it back")
            });
            let told = problem.as_ref().map(ToString::to_string);
            assert_eq!(told, expected, "{words}");
            let hints = problem.map(|problem| problem.of_kind(crate::Kind::Broken));
            if let Some(error) = hints {
                assert!(error.hints()[0].contains("helm mapkubeapis shop --namespace prod"));
                assert!(!format!("{:?}", error.hints()).contains("chart"));
            }
        }
    }

    /// Case A11: a custom resource whose definition is gone is none of mapkubeapis'.
    #[test]
    fn a_record_with_a_custom_resource_that_is_gone_is_named() {
        let problem = unserved(
            &records("deployed:acme.io/v1/Widget"),
            &release(),
            |_, _| false,
        );
        let error = problem.unwrap().of_kind(crate::Kind::Broken);
        let hints = format!("{:?}", error.hints());
        assert!(
            hints.contains("CustomResourceDefinition of Widget"),
            "{hints}"
        );
        assert!(!hints.contains("mapkubeapis"), "{hints}");
    }

    /// Case A12: whatever older records say.
    #[test]
    fn an_uninstall_that_did_not_end_is_to_be_finished() {
        for (words, found) in [
            ("uninstalling", true),
            ("superseded uninstalling", true),
            ("deployed", false),
            ("superseded uninstalled", false),
            ("uninstalled pending-install", false),
            ("", false),
        ] {
            let problem = uninstalling(&records(words), &release());
            assert_eq!(problem.is_some(), found, "{words}");
        }
        let mut stored = records("superseded uninstalling");
        stored[1].json["info"]["deleted"] = json!("2026-11-28T10:00:00.5Z");
        stored[1].description = "Deletion in progress (or silently failed)".to_owned();
        let error = uninstalling(&stored, &release())
            .unwrap()
            .of_kind(crate::Kind::Broken);
        assert_eq!(
            error.to_string(),
            "release shop is being uninstalled since 2026-11-28T10:00:00.5Z: a helm uninstall is at work, or was cut short"
        );
        assert_eq!(
            error.hints(),
            [
                "finish it: helm uninstall shop --namespace prod; the same signal installs the release anew then"
            ]
        );
        assert_eq!(
            error.evidence(),
            [
                "its last record sh.helm.release.v1.shop.v2 is `uninstalling`: Deletion in progress (or silently failed)"
            ]
        );
    }
}
