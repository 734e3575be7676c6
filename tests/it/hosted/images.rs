//! The images' way to the registry, with the real `BuildKit`.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use testbed::ghcr::{Access, Kind, PUSH_PASSWORD, Policy};

use super::builder::{Builder, DOCKER, PROGRAMS};
use super::stage::Stage;
use crate::harness::{asked_of, policy_of};

/// A job that has what a hosted runner has to build with.
fn staged(name: &str) -> (Stage, Builder) {
    let stage = Stage::new(name);
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
    let stage = stage
        .env("BUILDX_CONFIG", &store)
        .env("BUILDX_BUILDER", "testbed");
    (stage, builder)
}

fn images(stage: &Stage) -> BTreeMap<String, String> {
    serde_json::from_str(&stage.output("images")).unwrap()
}

fn pushes(stage: &Stage) -> usize {
    let asked = asked_of(&stage.lower());
    asked
        .iter()
        .filter(|asked| asked.kind == Kind::Push)
        .count()
}

/// And nothing is written but in the workspace, the runner's temp, and docker's
/// own store.
#[test]
fn images_are_built_once_for_a_commit() {
    let (stage, _builder) = staged("images");
    let (ran, written) = stage.traced("images.sh");
    ran.exits(0)
        .says("shop/web is new. GitHub makes a new package private");
    let store = stage.path("docker").display().to_string();
    let written: Vec<String> = written
        .into_iter()
        .filter(|path| !path.starts_with(&store))
        .collect();
    stage.wrote_only(&written);
    let first = images(&stage);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["api", "web", "worker"]);
    for (component, image) in &first {
        let start = format!("ghcr.io/{}/shop/{component}@sha256:", stage.lower());
        assert!(image.starts_with(&start), "{image}");
    }

    let count = pushes(&stage);
    stage
        .run("images.sh")
        .exits(0)
        .says("is there: built of this commit before");
    assert_eq!(images(&stage), first);
    assert_eq!(pushes(&stage), count, "nothing was pushed again");

    let stage = stage.env("REFERENCES", "tag");
    stage.run("images.sh").exits(0);
    let tagged = format!("ghcr.io/{}/shop/api:{}", stage.lower(), stage.head());
    assert_eq!(images(&stage)["api"], tagged);
}

#[test]
fn what_cannot_be_built_or_pushed_is_told() {
    let (stage, _builder) = staged("refused");
    stage.edit("web/Dockerfile", "COPY bin/web", "COPY bin/nothing");
    stage.commit("a Dockerfile that fails");
    stage
        .run("images.sh")
        .exits(1)
        .says("::error title=deploy-signal::the image of web could not be built or pushed")
        .says("bin/nothing");

    let stage = stage
        .env("GITHUB_ACTOR", "reader")
        .env("COMPONENTS", r#"["api", "web"]"#);
    policy_of(
        &stage.lower(),
        &Policy::public().user("reader", PUSH_PASSWORD, Access::Read),
    );
    stage.edit("web/Dockerfile", "COPY bin/nothing", "COPY bin/web");
    stage.commit("one that is right");
    stage
        .run("images.sh")
        .exits(1)
        .says("refuses to take the image of api web: this repository may not write the package");
}
