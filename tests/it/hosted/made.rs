//! A run of the hosted half job by job: what one job hands to the next is in the
//! test's hands.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use testbed::ghcr::Kind;

use super::builder::{Builder, DOCKER, PROGRAMS};
use super::stage::Stage;
use crate::harness::{Ran, asked_of};

/// A run whose jobs have what hosted runners have to build with.
pub struct Made {
    pub stage: Stage,
    _builder: Builder,
    platforms: Vec<&'static str>,
    /// The outputs of the jobs before: variables of the pushing one.
    pub outputs: BTreeMap<String, String>,
}

impl Made {
    pub fn new(name: &str) -> Self {
        Self::of(Stage::new(name))
    }

    pub fn of(stage: Stage) -> Self {
        for component in ["api", "web", "worker"] {
            let folder = stage.path("workspace").join(component).join("bin");
            fs::create_dir_all(&folder).unwrap();
            // Nobody runs these: any bytes are a program.
            fs::write(folder.join(component), component).unwrap();
        }
        let docker = stage.path("bin/docker");
        fs::write(&docker, DOCKER).unwrap();
        fs::set_permissions(&docker, Permissions::from_mode(0o755)).unwrap();
        symlink(&PROGRAMS.buildx, stage.path("bin/docker-buildx")).unwrap();
        for folder in ["buildkit", "docker/instances"] {
            fs::create_dir_all(stage.path(folder)).unwrap();
        }
        let socket = stage.path("buildkit.sock");
        let builder = Builder::start(&stage.path("buildkit"), &socket, 0);
        let instance = Builder::instance(&socket.display().to_string());
        fs::write(stage.path("docker/instances/testbed"), instance).unwrap();
        let store = stage.path("docker").display().to_string();
        Self {
            stage: stage
                .env("BUILDX_CONFIG", &store)
                .env("BUILDX_BUILDER", "testbed"),
            _builder: builder,
            platforms: vec!["amd64"],
            outputs: BTreeMap::new(),
        }
    }

    /// For both platforms.
    pub fn for_both(mut self) -> Self {
        self.platforms.push("arm64");
        self
    }

    /// With a variable of every job.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.stage = self.stage.env(key, value);
        self
    }

    /// The folder of what a job builds or packs.
    pub fn layout(&self, component: &str) -> PathBuf {
        self.stage.path("temp/layouts/amd64").join(component)
    }

    /// The job that builds for one platform.
    pub fn images(&self, arch: &str) -> Ran {
        let layouts = self.stage.path("temp/layouts").join(arch);
        let _ = fs::remove_dir_all(&layouts);
        self.stage.run_env(
            "images.sh",
            &[
                ("PLATFORM", format!("linux/{arch}")),
                ("LAYOUTS", layouts.display().to_string()),
            ],
        )
    }

    /// The jobs that build and pack, all of which succeed.
    pub fn build(&mut self) -> &mut Self {
        for arch in self.platforms.clone() {
            self.images(arch).exits(0);
            let digests = self.stage.output("digests");
            let variable = format!("DIGESTS_{}", arch.to_uppercase());
            self.outputs.insert(variable, digests);
        }
        let _ = fs::remove_dir_all(self.stage.path("temp/package"));
        self.stage.run("chart.sh").exits(0);
        for name in ["name", "version", "layer"] {
            let variable = format!("CHART_{}", name.to_uppercase());
            self.outputs.insert(variable, self.stage.output(name));
        }
        self
    }

    /// The digests that were built for linux/amd64, by component.
    pub fn digests(&self) -> BTreeMap<String, String> {
        serde_json::from_str(&self.outputs["DIGESTS_AMD64"]).unwrap()
    }

    /// The job that pushes.
    pub fn push(&self) -> Ran {
        let platforms: Vec<String> = self
            .platforms
            .iter()
            .map(|arch| format!("linux/{arch}"))
            .collect();
        let mut variables: Vec<(&str, String)> = self
            .outputs
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        variables.push(("PLATFORMS", serde_json::to_string(&platforms).unwrap()));
        let layouts = self.stage.path("temp/layouts").display().to_string();
        variables.push(("LAYOUTS", layouts));
        self.stage.run_env("push.sh", &variables)
    }

    /// The job that joins the signal, of what was pushed last.
    pub fn signal(&self) -> Ran {
        let variables = ["chart", "chart_version", "chart_digest", "images"].map(|name| {
            let value = self.stage.output(name);
            (name.to_uppercase(), value)
        });
        let variables: Vec<(&str, String)> = variables
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        self.stage.run_env("signal.sh", &variables)
    }

    /// The images that were put out last.
    pub fn pushed(&self) -> BTreeMap<String, String> {
        serde_json::from_str(&self.stage.output("images")).unwrap()
    }

    /// How often something was pushed.
    pub fn pushes(&self) -> usize {
        asked_of(&self.stage.lower())
            .iter()
            .filter(|asked| asked.kind == Kind::Push)
            .count()
    }

    /// How often something of a chart was pushed.
    pub fn charts_pushed(&self) -> usize {
        asked_of(&self.stage.lower())
            .iter()
            .filter(|asked| asked.kind == Kind::Push && asked.package == "charts/shop")
            .count()
    }

    /// The job that pushes refuses, and nothing reaches the registry.
    #[track_caller]
    pub fn is_refused(&self, why: &str) {
        let before = self.pushes();
        self.push()
            .exits(1)
            .says(why)
            .says("::error title=deploy-signal::");
        assert_eq!(self.pushes(), before, "{why}");
        assert!(!self.stage.put_out("images"), "{why}");
    }
}
