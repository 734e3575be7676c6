//! What an Application gives Helm, in Argo CD's order.
//!
//! Argo CD renders with `helm template`: the chart's values, then `valueFiles`, then
//! `valuesObject` or, where there is none, `values`, then `parameters`, those with
//! `forceString` after the others, then `fileParameters` (`helmTemplate` in
//! `reposerver/repository/repository.go`, `template` in `util/helm/cmd.go` of 3.2).
//!
//! Pure. What is evaluated elsewhere, as in Git, is never guessed: it is an error of kind
//! [`Kind::Chart`] with the reason.

use serde_json::Value;

use super::application::Application;
use super::source::Parameter;
use crate::error::{Error, Kind, Result};
use crate::text;

/// How Helm renders for an Application.
#[derive(Clone, Debug, PartialEq)]
pub struct HelmInput {
    /// The release's name.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// The values files inside the chart, from its folder, in order.
    pub files: Vec<String>,
    /// Whether one that is not there is left out.
    pub files_are_optional: bool,
    /// The Application's own values.
    pub values: Values,
    /// What follows as flags: `--set` and `--set-string`, with their values.
    pub sets: Vec<(&'static str, String)>,
    /// The paths of values that files inside the chart hold, and these files.
    pub set_files: Vec<(String, String)>,
    /// The version of Kubernetes, where the Application says it.
    pub kube_version: Option<String>,
    /// Its APIs, where the Application says them.
    pub api_versions: Vec<String>,
    /// Whether the values are not held against the chart's schema.
    pub skips_schema: bool,
}

/// The Application's own values.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// None.
    None,
    /// As an object.
    Object(Value),
    /// As text.
    Text(String),
}

/// What `--set` begins with where Argo CD would put something in place.
const BUILD: [&str; 2] = ["$ARGOCD_", "${ARGOCD_"];

/// How the chart is rendered for this Application, where that can be known here.
pub fn input(application: &Application) -> Result<HelmInput> {
    if let Some((why, cure)) = elsewhere(application) {
        let message = format!("the Application cannot be evaluated here: {why}");
        return Err(Error::new(Kind::Chart, message).hint(cure));
    }
    let spec = &application.spec;
    let helm = &spec.source.helm;
    let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    Ok(HelmInput {
        release: named(&helm.release_name).unwrap_or(application.metadata.name.clone()),
        namespace: named(&helm.namespace)
            .or_else(|| named(&spec.destination.namespace))
            .unwrap_or_else(|| "default".to_owned()),
        files: helm.value_files.iter().map(|file| inside(file)).collect(),
        files_are_optional: helm.ignore_missing_value_files,
        values: values(application),
        sets: sets(application),
        set_files: helm
            .file_parameters
            .iter()
            .map(|file| (file.name.clone(), inside(&file.path)))
            .collect(),
        kube_version: named(&helm.kube_version),
        api_versions: helm.api_versions.clone(),
        skips_schema: helm.skip_schema_validation,
    })
}

/// What Argo CD evaluates with more than the chart and the Application: why, and what to
/// write instead.
fn elsewhere(application: &Application) -> Option<(String, &'static str)> {
    let spec = &application.spec;
    let source = &spec.source;
    let helm = &source.helm;
    if !spec.sources.is_empty() {
        return Some((
            "it has several sources (spec.sources), and what they render is known to Argo CD alone"
                .to_owned(),
            "give it one source, the chart, and its values in spec.source.helm.valuesObject",
        ));
    }
    if spec.source_hydrator.is_some() {
        return Some((
            "it is rendered into Git first (spec.sourceHydrator)".to_owned(),
            "give it one source, the chart, in spec.source",
        ));
    }
    if source.plugin.is_some() || source.kustomize.is_some() || !source.path.is_empty() {
        return Some((
            "its source is a folder, a plugin or Kustomize, and no chart of a registry".to_owned(),
            "name the chart: spec.source.chart, with repoURL: ghcr.io/<owner>/charts",
        ));
    }
    let mut files = helm.value_files.iter();
    if let Some((file, why)) = files.find_map(|file| Some((file, outside(file)?))) {
        return Some((
            format!("its values file {} {why}", text::quoted(file)),
            "put these values into spec.source.helm.valuesObject, or into the chart",
        ));
    }
    let mut files = helm.file_parameters.iter();
    if let Some(file) = files.find(|file| outside(&file.path).is_some()) {
        let name = text::quoted(&file.name);
        return Some((
            format!("its file parameter {name} is not in the chart"),
            "put the content into spec.source.helm.valuesObject, or the file into the chart",
        ));
    }
    let set = helm.parameters.iter().find(|set| is_built(&set.value))?;
    let name = text::quoted(&set.name);
    Some((
        format!("its parameter {name} names a variable of Argo CD's build environment"),
        "write the value itself",
    ))
}

fn values(application: &Application) -> Values {
    let helm = &application.spec.source.helm;
    match (&helm.values_object, helm.values.trim()) {
        (Some(object), _) => Values::Object(object.clone()),
        (None, "") => Values::None,
        (None, text) => Values::Text(text.to_owned()),
    }
}

/// As Argo CD gives them to Helm, which counts `--set-string` after `--set`.
fn sets(application: &Application) -> Vec<(&'static str, String)> {
    let helm = &application.spec.source.helm;
    let set = |set: &Parameter| {
        let flag = if set.force_string {
            "--set-string"
        } else {
            "--set"
        };
        (flag, format!("{}={}", set.name, clean(&set.value)))
    };
    helm.parameters.iter().map(set).collect()
}

/// Commas are escaped but in a list (`cleanSetParameters` in `util/helm/cmd.go`).
fn clean(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut clean = String::with_capacity(value.len());
    let mut last = ' ';
    for character in value.chars() {
        if character == ',' && last != '\\' {
            clean.push('\\');
        }
        clean.push(character);
        last = character;
    }
    clean
}

fn is_built(value: &str) -> bool {
    BUILD.iter().any(|begin| value.contains(begin))
}

/// Why a file does not lie in the chart.
fn outside(file: &str) -> Option<&'static str> {
    if file.starts_with('$') || is_built(file) {
        return Some("lies in another source, or is named by a variable");
    }
    if file.contains("://") {
        return Some("is fetched from another host");
    }
    file.split('/')
        .any(|part| part == "..")
        .then_some("lies outside of the chart")
}

/// A path from the chart's folder, which is the root for Argo CD too.
fn inside(file: &str) -> String {
    let parts = file.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::{Values, input};
    use crate::argocd::Application;
    use crate::error::Kind;

    fn application(helm: &Value) -> Application {
        Application::read(&json!({
            "metadata": {"name": "shop-eu"},
            "spec": {
                "source": {"repoURL": "ghcr.io/acme/charts", "chart": "shop", "helm": helm},
                "destination": {"namespace": "shop"},
            },
        }))
        .unwrap()
    }

    #[test]
    fn what_helm_is_given_is_in_argo_cds_order() {
        let plain = input(&application(&json!({}))).unwrap();
        assert_eq!(
            (plain.release.as_str(), plain.namespace.as_str()),
            ("shop-eu", "shop")
        );
        assert_eq!(plain.values, Values::None);
        let all = input(&application(&json!({
            "releaseName": "shop", "namespace": "prod", "kubeVersion": "1.33",
            "valueFiles": ["values-eu.yaml", "./env//eu.yaml", "/top.yaml"],
            "values": "hidden: true", "valuesObject": {"a": null},
            "parameters": [
                {"name": "a", "value": "1,2"},
                {"name": "b", "value": "{x,y}"},
                {"name": "c", "value": "1.0", "forceString": true},
                {"name": "d", "value": "a\\,b"},
            ],
            "fileParameters": [{"name": "e", "path": "files/e"}],
        })))
        .unwrap();
        assert_eq!(
            (all.release.as_str(), all.namespace.as_str()),
            ("shop", "prod")
        );
        assert_eq!(all.files, ["values-eu.yaml", "env/eu.yaml", "top.yaml"]);
        assert_eq!(all.values, Values::Object(json!({"a": null})));
        let sets: Vec<String> = all
            .sets
            .iter()
            .map(|(flag, set)| format!("{flag} {set}"))
            .collect();
        assert_eq!(
            sets,
            [
                "--set a=1\\,2",
                "--set b={x,y}",
                "--set-string c=1.0",
                "--set d=a\\,b"
            ]
        );
        assert_eq!(all.set_files, [("e".to_owned(), "files/e".to_owned())]);
        let text = input(&application(&json!({"values": "a: b\n"}))).unwrap();
        assert_eq!(text.values, Values::Text("a: b".to_owned()));
    }

    #[test]
    fn what_is_evaluated_elsewhere_is_refused_with_its_reason() {
        let helm = |helm: Value| json!({"source": {"chart": "shop", "helm": helm}});
        for (spec, why) in [
            (json!({"sources": [{"ref": "values"}]}), "several sources"),
            (json!({"sourceHydrator": {}}), "rendered into Git first"),
            (
                json!({"source": {"path": "charts/shop"}}),
                "no chart of a registry",
            ),
            (
                json!({"source": {"chart": "shop", "plugin": {}}}),
                "no chart of a registry",
            ),
            (
                helm(json!({"valueFiles": ["$values/eu.yaml"]})),
                "'$values/eu.yaml' lies in another source",
            ),
            (
                helm(json!({"valueFiles": ["https://a/b.yaml"]})),
                "is fetched from another host",
            ),
            (
                helm(json!({"valueFiles": ["a/../../b.yaml"]})),
                "lies outside of the chart",
            ),
            (
                helm(json!({"fileParameters": [{"name": "a", "path": "../b"}]})),
                "'a' is not in the chart",
            ),
            (
                helm(json!({"parameters": [{"name": "a", "value": "${ARGOCD_APP_NAME}-x"}]})),
                "names a variable of Argo CD's build environment",
            ),
        ] {
            let application = Application::read(&json!({"spec": spec})).unwrap();
            let error = input(&application).unwrap_err();
            assert_eq!(error.kind(), Kind::Chart);
            assert!(error.to_string().contains(why), "{error}");
            assert!(!error.hints().is_empty());
        }
    }
}
