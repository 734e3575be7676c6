//! Where an Application's manifests come from.
//!
//! Format: `ApplicationSource` in `pkg/apis/application/v1alpha1/types.go` of Argo CD
//! 3.2. All of it is outside text.

use serde::Deserialize;
use serde_json::Value;

/// Where manifests come from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Source {
    /// The repository, of charts without `oci://`.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// A folder, where it is no chart's.
    pub path: String,
    /// The chart.
    pub chart: String,
    /// Its version.
    pub target_revision: String,
    /// What Helm is given.
    pub helm: HelmSource,
    /// Renders by a plugin.
    pub plugin: Option<Value>,
    /// Renders by Kustomize.
    pub kustomize: Option<Value>,
}

/// What Helm is given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HelmSource {
    /// Values files.
    pub value_files: Vec<String>,
    /// Values as text.
    pub values: String,
    /// Values as an object; they hide the text.
    pub values_object: Option<Value>,
    /// What `--set` and `--set-string` are given.
    pub parameters: Vec<Parameter>,
    /// What `--set-file` is given.
    pub file_parameters: Vec<FileParameter>,
    /// The release's name, where it is not the Application's.
    pub release_name: String,
    /// Whether a values file that is not there is left out.
    pub ignore_missing_value_files: bool,
    /// Whether `crds/` is left out.
    pub skip_crds: bool,
    /// Whether the values are not held against the chart's schema.
    pub skip_schema_validation: bool,
    /// The release's namespace, where it is not the destination's.
    pub namespace: String,
    /// The version of Kubernetes, where it is not the destination's.
    pub kube_version: String,
    /// Its APIs, where they are not the destination's.
    pub api_versions: Vec<String>,
}

/// A value by its path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Parameter {
    /// The path, as `--set` takes it.
    pub name: String,
    /// The value.
    pub value: String,
    /// Whether it is a text, whatever it looks like.
    pub force_string: bool,
}

/// A value from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FileParameter {
    /// The path of the value.
    pub name: String,
    /// The file.
    pub path: String,
}
