//! Plans, made of files and variables.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::plan;
use crate::error::{Error, Kind};
use crate::host::Environment;
use crate::node::machine::{Node, load_from};
use crate::plan::{OnFailure, Plan};
use crate::signal::Request;

mod cluster;
mod fleet;
mod forward;
mod old_script;
mod refusal;
mod settings;

/// A node in a folder of its own: /home/runner, /etc/deploy, a state folder.
struct TestNode {
    scratch: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl TestNode {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        for folder in ["runner", "etc", "state", "work"] {
            let folder = scratch.path().join(folder);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let scene = Self {
            scratch,
            variables: Vec::new(),
        };
        let home = scene.at("runner").display().to_string();
        let state = scene.at("state").display().to_string();
        scene
            .with("HOME", &home)
            .with("DEPLOY_STATE_DIR", &state)
            .with("KUBECONFIG", "/k")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.scratch.path().join(path)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    fn inside(self, event: &str) -> Self {
        let scene = self.file("event.json", "{}");
        let path = scene.at("event.json").display().to_string();
        scene
            .with("GITHUB_ACTIONS", "true")
            .with("GITHUB_EVENT_NAME", event)
            .with("GITHUB_EVENT_PATH", &path)
    }

    fn environment(&self) -> Environment {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    fn node(&self) -> Result<Node, Error> {
        let invoked = self.at("runner/deploy.sh");
        load_from(
            &self.at("etc/deploy.toml"),
            invoked.as_os_str(),
            &self.environment(),
            &self.at("work"),
        )
    }

    fn plan(&self) -> Result<(Plan, Vec<String>), Error> {
        plan(request(), &self.node()?, &self.environment())
    }

    fn refused(&self) -> (Kind, String) {
        let error = self.plan().unwrap_err();
        let hints = error.hints().join("\n");
        (error.kind(), format!("{error}\n{hints}"))
    }
}

fn request() -> Request {
    let image = |text: &str| format!("ghcr.io/acme/{text}").parse().unwrap();
    Request {
        app: "shop".parse().unwrap(),
        chart: "oci://ghcr.io/acme/charts/shop".parse().unwrap(),
        version: "1.2.3".parse().unwrap(),
        images: [("api", image("api:1")), ("web", image("web:1"))]
            .into_iter()
            .map(|(key, image)| (key.parse().unwrap(), image))
            .collect(),
    }
}

fn given<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    plan.environment
        .get(OsStr::new(name))
        .map(|value| value.to_str().unwrap())
}
