//! Renders as another engine does, so that what it will apply can be proven.
//!
//! Pure. It asks no cluster, as those engines do not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::command::{apis, document, flag, values};
use crate::plan::{Capabilities, ReleaseId};
use crate::process::runner::Invocation;

/// A rendering as another engine does it, under another release's name.
#[derive(Clone, Debug)]
pub struct ForeignRender<'a> {
    /// The chart's archive, absolute.
    pub chart: &'a Path,
    /// The release.
    pub release: &'a ReleaseId,
    /// Values files in helm's order.
    pub values: &'a [PathBuf],
    /// What that engine gives to helm besides, each a flag and its value.
    pub flags: &'a [(&'static str, OsString)],
    /// What the server can do; nothing where that is not known.
    pub capabilities: &'a Capabilities,
}

/// `helm template` for another engine: without the cluster, always as an install.
pub(super) fn foreign_template(render: &ForeignRender<'_>) -> Invocation {
    let mut args = vec![
        "template".into(),
        render.release.name.clone().into(),
        render.chart.into(),
        flag("--namespace", &render.release.namespace),
    ];
    args.extend(values(render.values));
    args.extend(render.flags.iter().map(|(name, value)| {
        if value.is_empty() {
            OsString::from(name)
        } else {
            flag(name, value)
        }
    }));
    args.push("--skip-tests".into());
    if !render.capabilities.version.is_empty() {
        args.push(flag("--kube-version", &render.capabilities.version));
    }
    args.extend(apis(render.capabilities));
    document(args)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::ForeignRender;
    use crate::helm::command::tests::words;
    use crate::plan::{Capabilities, ReleaseId};

    #[test]
    fn renders_as_another_engine_does() {
        let release = ReleaseId::new("shop", "shop-eu");
        let mut render = ForeignRender {
            chart: Path::new("/c.tgz"),
            release: &release,
            values: &["/v.yaml".into()],
            flags: &[
                ("--set", "a=1".into()),
                ("--skip-schema-validation", "".into()),
            ],
            capabilities: &Capabilities::default(),
        };
        assert_eq!(
            words(&super::foreign_template(&render)),
            "template shop-eu /c.tgz --namespace=shop --values=/v.yaml --set=a=1 --skip-schema-validation --skip-tests"
        );
        let known = Capabilities {
            version: "v1.34.4".into(),
            apis: vec!["v1".into()],
        };
        render.capabilities = &known;
        assert!(
            words(&super::foreign_template(&render))
                .ends_with(" --kube-version=v1.34.4 --api-versions=v1")
        );
    }
}
