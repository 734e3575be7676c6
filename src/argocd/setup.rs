//! What an engine is made of: the template, and the ways into the targets' clusters.

use std::path::Path;

use serde_json::Value;

use super::beside::Look;
use crate::cluster::client::connect;
use crate::cluster::discovery;
use crate::error::{Error, Kind, Result};
use crate::host::file::read_regular;
use crate::manifest::Object;
use crate::plan::Plan;
use crate::plan::fleet::ClusterAccess;
use crate::text;

/// The way into a target's cluster.
pub async fn look(plan: &Plan, access: &ClusterAccess) -> Result<Look> {
    let files = access.kubeconfig.clone().into_os_string();
    let mut there = plan.clone();
    there.environment.insert("KUBECONFIG".into(), files.clone());
    there.kubeconfig = Some(files);
    there.kube_context.clone_from(&access.context);
    let client = connect(&there).await?;
    let capabilities = discovery::capabilities(&client).await?;
    Ok(Look {
        client,
        capabilities,
    })
}

/// The manifest that an Application is made of.
pub fn template(file: &Path) -> Result<Value> {
    let name = text::line(&file.to_string_lossy(), text::LINE).into_owned();
    let unread = |why: String| {
        Error::new(
            Kind::Node,
            format!("the template {name} cannot be used: {why}"),
        )
        .hint("it has to be one Application of argoproj.io/v1alpha1, as YAML")
    };
    let content = read_regular(file).map_err(|error| unread(error.to_string()))?;
    let content = String::from_utf8(content).map_err(|error| unread(error.to_string()))?;
    let objects = Object::parse(&content).map_err(|error| unread(error.to_string()))?;
    let [object] = objects.as_slice() else {
        return Err(unread(format!("it holds {} objects", objects.len())));
    };
    if !object.reference.is("argoproj.io", "Application") {
        return Err(unread("it holds no Application".to_owned()));
    }
    Ok(object.value.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::template;
    use crate::error::Kind;

    #[test]
    fn a_template_is_one_application() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("application.yaml");
        let application =
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: x}\n";
        std::fs::write(&file, application).unwrap();
        assert_eq!(template(&file).unwrap()["kind"], "Application");
        for (content, why) in [
            ("", "it holds 0 objects"),
            (
                "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n",
                "it holds no Application",
            ),
            ("a: [", "cannot be used"),
        ] {
            std::fs::write(&file, content).unwrap();
            let error = template(&file).unwrap_err();
            assert_eq!(error.kind(), Kind::Node);
            assert!(error.to_string().contains(why), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(template(&file).is_err());
    }
}
