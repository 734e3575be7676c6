//! Helm's command lines, built from data.
//!
//! Pure. There is never `--atomic` nor `--rollback-on-failure`: helm would
//! delete the evidence, and give up a release whose rollout `deploy` itself
//! watches. There is never `--set` of the node's own: values go in files, where neither a
//! process list nor the syntax of `--set` can get at them. What another engine gives to helm
//! by `--set` is given so here too, since only helm knows what it means.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::compat::{HelmMajor, Wait, listed};
use crate::plan::{Capabilities, ReleaseId};
use crate::process::runner::Invocation;
use crate::signal::{ChartRef, ChartVersion};

/// The most API versions in one argument: the kernel takes 128 KiB in one.
pub(super) const APIS: usize = 400;

/// How lazily a rendering collects garbage (`runtime`, "Environment Variables"): it lives
/// for a moment, and a fifth of its work would be that.
const LAZY: (&str, &str) = ("GOGC", "400");

/// The release that a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseTarget {
    /// The release.
    pub release: ReleaseId,
    /// The kubeconfig's context, where one is named.
    pub context: Option<String>,
    /// The kubeconfig, where it is one file. Named so, helm fails where it has
    /// gone; from the environment it would go on to localhost:8080.
    pub kubeconfig: Option<PathBuf>,
}

impl ReleaseTarget {
    fn flags(&self) -> Vec<OsString> {
        let mut flags = vec![flag("--namespace", &self.release.namespace)];
        flags.extend(
            self.kubeconfig
                .as_ref()
                .map(|file| flag("--kubeconfig", file)),
        );
        flags.extend(
            self.context
                .as_ref()
                .map(|context| flag("--kube-context", context)),
        );
        flags
    }
}

/// A rendering.
#[derive(Clone, Debug)]
pub struct RenderRequest<'a> {
    /// The chart's archive, absolute.
    pub chart: &'a Path,
    /// Values files in helm's order; the last one wins.
    pub values: &'a [PathBuf],
    /// Whether the release exists.
    pub upgrade: bool,
    /// What the server can do.
    pub capabilities: &'a Capabilities,
}

/// An install or upgrade.
#[derive(Clone, Debug)]
pub struct Upgrade<'a> {
    /// The chart's archive, absolute.
    pub chart: &'a Path,
    /// Values files in helm's order; the last one wins.
    pub values: &'a [PathBuf],
    /// Whether helm makes the namespace: only where it is known to be missing.
    pub create_namespace: bool,
    /// How helm waits.
    pub wait: Wait,
    /// What helm stores with the record, and `helm history` shows.
    pub description: &'a str,
    /// Whether the last revision was applied on the server, or there is none
    /// ([`crate::release::record::Record::server_side`]).
    pub server_side: bool,
    /// Helm's limit for each single operation.
    pub timeout: Duration,
}

/// A rollback.
#[derive(Clone, Copy, Debug)]
pub struct Rollback<'a> {
    /// The revision to go back to.
    pub revision: u32,
    /// How helm waits; where it does not, it runs no hook either.
    pub wait: Option<Wait>,
    /// What helm stores with the record, where it can.
    pub description: Option<&'a str>,
    /// Whether the revision to go back to was applied on the server.
    pub server_side: bool,
    /// Helm's limit for each single operation.
    pub timeout: Duration,
}

/// `helm pull`: one exact version, into `destination`.
pub fn pull(chart: &ChartRef, version: &ChartVersion, destination: &Path) -> Invocation {
    Invocation {
        args: vec![
            "pull".into(),
            chart.to_string().into(),
            flag("--version", version.to_string()),
            flag("--destination", destination),
        ],
        ..Invocation::default()
    }
}

/// `helm template`: renders without the cluster, for what the server
/// can do.
pub fn template(target: &ReleaseTarget, render: &RenderRequest<'_>) -> Invocation {
    let mut args = vec![
        "template".into(),
        target.release.name.clone().into(),
        render.chart.into(),
    ];
    args.extend(target.flags());
    args.extend(values(render.values));
    args.push("--skip-tests".into());
    if render.upgrade {
        args.push("--is-upgrade".into());
    }
    args.push(flag("--kube-version", &render.capabilities.version));
    args.extend(apis(render.capabilities));
    document(args)
}

/// What the server can do, in as many flags as that takes.
pub(super) fn apis(capabilities: &Capabilities) -> impl Iterator<Item = OsString> {
    let some = capabilities.apis.chunks(APIS);
    some.map(|apis| flag("--api-versions", apis.join(",")))
}

/// A rendering: its output is a document.
pub(super) fn document(args: Vec<OsString>) -> Invocation {
    Invocation {
        args,
        env: [(LAZY.0.into(), LAZY.1.into())].into(),
        document: true,
        ..Invocation::default()
    }
}

/// `helm upgrade --dry-run=server`: renders with the cluster, for a chart that
/// looks things up there.
pub fn server_render(target: &ReleaseTarget, render: &RenderRequest<'_>) -> Invocation {
    let mut args = install(target, render.chart, render.values);
    args.push("--dry-run=server".into());
    args.push(flag("--output", "json"));
    document(args)
}

/// `helm upgrade --install`.
pub fn upgrade(target: &ReleaseTarget, major: HelmMajor, upgrade: &Upgrade<'_>) -> Invocation {
    let mut args = install(target, upgrade.chart, upgrade.values);
    if upgrade.create_namespace {
        args.push("--create-namespace".into());
    }
    args.extend(waiting(
        major,
        upgrade.wait,
        upgrade.server_side,
        upgrade.timeout,
    ));
    args.push(flag("--description", upgrade.description));
    Invocation {
        args,
        ..Invocation::default()
    }
}

/// `helm rollback`.
pub fn rollback(target: &ReleaseTarget, major: HelmMajor, rollback: &Rollback<'_>) -> Invocation {
    let mut args = vec![
        "rollback".into(),
        target.release.name.clone().into(),
        rollback.revision.to_string().into(),
    ];
    args.extend(target.flags());
    if let Some(wait) = rollback.wait {
        args.extend(waiting(major, wait, rollback.server_side, rollback.timeout));
    } else {
        args.push("--no-hooks".into());
        args.extend(major.conflicts(rollback.server_side).map(Into::into));
    }
    let description = rollback.description;
    args.extend(description.map(|text| flag("--description", text)));
    Invocation {
        args,
        ..Invocation::default()
    }
}

fn install(target: &ReleaseTarget, chart: &Path, files: &[PathBuf]) -> Vec<OsString> {
    let mut args = vec![
        "upgrade".into(),
        "--install".into(),
        target.release.name.clone().into(),
        chart.into(),
    ];
    args.extend(target.flags());
    args.extend(values(files));
    args
}

fn waiting(major: HelmMajor, wait: Wait, server_side: bool, timeout: Duration) -> Vec<OsString> {
    let flags = major.wait(wait).iter();
    let mut flags: Vec<OsString> = flags.map(Into::into).collect();
    // A Go duration; helm takes 0 for "no time at all".
    flags.push(flag("--timeout", format!("{}s", timeout.as_secs().max(1))));
    flags.extend(major.conflicts(server_side).map(Into::into));
    flags
}

pub(super) fn values(files: &[PathBuf]) -> Vec<OsString> {
    files
        .iter()
        .map(|file| flag("--values", listed(file.as_os_str())))
        .collect()
}

/// `name=value` in one argument, so that a value can never be read as a flag.
pub(super) fn flag(name: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut flag = OsString::from(name);
    flag.push("=");
    flag.push(value);
    flag
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::{ReleaseTarget, RenderRequest, Rollback, Upgrade};
    use crate::helm::compat::{HelmMajor, Wait};
    use crate::plan::{Capabilities, ReleaseId};
    use crate::process::runner::Invocation;

    fn target(context: Option<&str>) -> ReleaseTarget {
        ReleaseTarget {
            release: ReleaseId::new("prod", "shop"),
            context: context.map(Into::into),
            kubeconfig: context.map(|_| "/etc/k3s.yaml".into()),
        }
    }

    pub(in crate::helm) fn words(call: &Invocation) -> String {
        let words: Vec<_> = call
            .args
            .iter()
            .map(|word| word.to_str().unwrap())
            .collect();
        words.join(" ")
    }

    #[test]
    fn pull() {
        let chart = "oci://ghcr.io/acme/charts/shop".parse().unwrap();
        let version = "1.2.3+b4".parse().unwrap();
        assert_eq!(
            words(&super::pull(&chart, &version, Path::new("/d"))),
            "pull oci://ghcr.io/acme/charts/shop --version=1.2.3+b4 --destination=/d"
        );
    }

    #[test]
    fn renders() {
        let capabilities = Capabilities {
            version: "v1.34.4".into(),
            apis: vec!["v1".into(), "apps/v1".into(), "apps/v1/Deployment".into()],
        };
        let values = [PathBuf::from("/n.yaml"), PathBuf::from("/o,1.yaml")];
        let mut render = RenderRequest {
            chart: Path::new("/c.tgz"),
            values: &values,
            upgrade: true,
            capabilities: &capabilities,
        };
        let call = super::template(&target(Some("k3s")), &render);
        assert!(call.document);
        assert_eq!(
            words(&call),
            "template shop /c.tgz --namespace=prod --kubeconfig=/etc/k3s.yaml --kube-context=k3s --values=/n.yaml --values=\"/o,1.yaml\" \
             --skip-tests --is-upgrade --kube-version=v1.34.4 --api-versions=v1,apps/v1,apps/v1/Deployment"
        );
        let call = super::server_render(&target(None), &render);
        assert!(call.document);
        assert_eq!(
            words(&call),
            "upgrade --install shop /c.tgz --namespace=prod --values=/n.yaml --values=\"/o,1.yaml\" \
             --dry-run=server --output=json"
        );
        render.upgrade = false;
        assert!(!words(&super::template(&target(None), &render)).contains("--is-upgrade"));
    }

    #[test]
    fn upgrades_and_rollbacks() {
        let values = [PathBuf::from("/o.yaml")];
        let start = "upgrade --install shop /c.tgz --namespace=prod --values=/o.yaml";
        for (major, create, wait, server_side, rest) in [
            (
                HelmMajor::Three,
                false,
                Wait::Watch,
                true,
                "--wait --wait-for-jobs --timeout=90s",
            ),
            (
                HelmMajor::Three,
                true,
                Wait::Poll,
                false,
                "--create-namespace --wait --wait-for-jobs --timeout=90s",
            ),
            (HelmMajor::Three, false, Wait::Hooks, true, "--timeout=90s"),
            (
                HelmMajor::Four,
                false,
                Wait::Hooks,
                true,
                "--timeout=90s --force-conflicts",
            ),
            (
                HelmMajor::Four,
                false,
                Wait::Watch,
                true,
                "--wait=watcher --wait-for-jobs --timeout=90s --force-conflicts",
            ),
            (
                HelmMajor::Four,
                false,
                Wait::Poll,
                false,
                "--wait=legacy --wait-for-jobs --timeout=90s",
            ),
        ] {
            let upgrade = Upgrade {
                chart: Path::new("/c.tgz"),
                values: &values,
                create_namespace: create,
                wait,
                description: "not judged",
                server_side,
                timeout: Duration::from_secs(90),
            };
            let call = super::upgrade(&target(None), major, &upgrade);
            assert_eq!(
                words(&call),
                format!("{start} {rest} --description=not judged")
            );
        }
        let mut rollback = Rollback {
            revision: 4,
            wait: Some(Wait::Watch),
            description: Some("not judged"),
            server_side: true,
            timeout: Duration::from_millis(200),
        };
        assert_eq!(
            words(&super::rollback(&target(None), HelmMajor::Four, &rollback)),
            "rollback shop 4 --namespace=prod --wait=watcher --wait-for-jobs --timeout=1s --force-conflicts --description=not judged"
        );
        rollback.wait = Some(Wait::Hooks);
        rollback.description = None;
        assert_eq!(
            words(&super::rollback(&target(None), HelmMajor::Three, &rollback)),
            "rollback shop 4 --namespace=prod --timeout=1s"
        );
        rollback.wait = None;
        assert_eq!(
            words(&super::rollback(&target(None), HelmMajor::Three, &rollback)),
            "rollback shop 4 --namespace=prod --no-hooks"
        );
    }
}
