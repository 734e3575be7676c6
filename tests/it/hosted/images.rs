//! The images' way to the registry, with the real `BuildKit`: built into layouts
//! by a job that may not push, pushed by one that runs none of the caller's code.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use testbed::ghcr::{Access, PUSH_PASSWORD, Policy};

use super::made::Made;
use super::web::{self, Answer};
use crate::harness::{policy_of, push_image};
use crate::install::machine::BUSYBOX;

/// One blob of a layout, as JSON.
fn blob(made: &Made, component: &str, digest: &str) -> Value {
    let name = digest.trim_start_matches("sha256:");
    let path = made.layout(component).join("blobs/sha256").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[track_caller]
fn in_no_blob(made: &Made, component: &str, hidden: &str) {
    let blobs = fs::read_dir(made.layout(component).join("blobs/sha256")).unwrap();
    for entry in blobs {
        let mut unpack = Command::new("zcat");
        let unpacked = unpack
            .arg("-f")
            .arg(entry.unwrap().path())
            .output()
            .unwrap();
        let mut windows = unpacked.stdout.windows(hidden.len());
        let found = windows.any(|window| window == hidden.as_bytes());
        assert!(!found, "{hidden} is in a blob of {component}");
    }
}

/// And nothing is written but in the workspace, the runner's temp, and docker's
/// own store.
#[test]
fn images_are_built_then_pushed_by_digest() {
    let mut made = Made::new("images");
    let (ran, written) = made.stage.traced("images.sh");
    ran.exits(0);
    let store = made.stage.path("docker").display().to_string();
    let written: Vec<String> = written
        .into_iter()
        .filter(|path| !path.starts_with(&store))
        .collect();
    made.stage.wrote_only(&written);
    assert_eq!(made.pushes(), 0, "the job that builds pushes nothing");

    made.build();
    let digests = made.digests();
    let manifest = blob(&made, "api", &digests["api"]);
    let source = format!("https://github.com/{}/Shop", made.stage.owner);
    let said = &manifest["annotations"];
    assert_eq!(said["org.opencontainers.image.source"], source);
    assert_eq!(said["org.opencontainers.image.revision"], made.stage.head());
    assert_eq!(
        said["io.deploy-signal.run"],
        format!("{source}/actions/runs/7")
    );

    made.push()
        .exits(0)
        .says("shop/web is new. GitHub makes a new package private");
    let pushed = made.pushed();
    assert_eq!(pushed.keys().collect::<Vec<_>>(), ["api", "web", "worker"]);
    for (component, image) in &pushed {
        let owner = made.stage.lower();
        let digest = &digests[component];
        assert_eq!(*image, format!("ghcr.io/{owner}/shop/{component}@{digest}"));
    }

    let made = made.env("REFERENCES", "tag");
    made.push().exits(0).never_says("is new");
    let tagged = format!(
        "ghcr.io/{}/shop/api:{}@{}",
        made.stage.lower(),
        made.stage.head(),
        digests["api"]
    );
    assert_eq!(made.pushed()["api"], tagged);
}

/// Both platforms are children of one index, whose digest the signal carries.
/// Several applications of one repository have paths of their own.
#[test]
fn two_platforms_are_one_index() {
    let mut made = Made::new("index").for_both();
    let path = format!("{}/shop/back", made.stage.lower());
    made = made
        .env("IMAGE_PATH", &path)
        .env("COMPONENTS", r#"["api", "web"]"#);
    made.build().push().exits(0);
    let api = made.pushed()["api"].clone();
    let (repository, digest) = api.split_once('@').unwrap();
    assert_eq!(repository, format!("ghcr.io/{path}/api"));
    let body = made.stage.registry(&format!("{path}/api"), digest);
    let index: Value = serde_json::from_str(&body).unwrap();
    let mut children: Vec<(String, String)> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|child| {
            let platform = &child["platform"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&platform["architecture"]), text(&child["digest"]))
        })
        .collect();
    children.sort();
    let of = |variable: &str| {
        let digests: Value = serde_json::from_str(&made.outputs[variable]).unwrap();
        digests["api"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        children,
        [
            ("amd64".to_owned(), of("DIGESTS_AMD64")),
            ("arm64".to_owned(), of("DIGESTS_ARM64"))
        ]
    );
}

/// Arguments reach the Dockerfile. Secrets do too, and are in no layer, no log
/// and no argument.
#[test]
fn arguments_and_secrets_of_a_build() {
    let made = Made::new("secrets")
        .env("COMPONENTS", r#"["api", "web"]"#)
        .env("BUILD_ARGS", "COLOUR=green\n\nSIZE=a=b")
        .env("BUILD_SECRETS", "npm=open-sesame");
    fs::copy(&*BUSYBOX, made.stage.path("workspace/api/bin/busybox")).unwrap();
    fs::write(
        made.stage.path("workspace/api/Dockerfile"),
        "FROM scratch\nARG COLOUR SIZE\nCOPY bin/busybox /bin/busybox\n\
         SHELL [\"/bin/busybox\", \"sh\", \"-c\"]\n\
         RUN --mount=type=secret,id=npm /bin/busybox test \"$(/bin/busybox wc -c </run/secrets/npm)\" = 11\n\
         LABEL colour=$COLOUR size=$SIZE\n",
    )
    .unwrap();
    let ran = made.images("amd64");
    ran.exits(0).says("::add-mask::open-sesame");
    let told = ran.told().replace("::add-mask::open-sesame", "");
    assert!(!told.contains("open-sesame"), "{told}");
    let digests: Value = serde_json::from_str(&made.stage.output("digests")).unwrap();
    let manifest = blob(&made, "api", digests["api"].as_str().unwrap());
    let config = blob(&made, "api", manifest["config"]["digest"].as_str().unwrap());
    let labels = &config["config"]["Labels"];
    assert_eq!(
        (&labels["colour"], &labels["size"]),
        (&"green".into(), &"a=b".into())
    );
    in_no_blob(&made, "api", "open-sesame");

    for (variable, said) in [
        ("BUILD_ARGS", "a line of build-args is not NAME=VALUE"),
        ("BUILD_SECRETS", "a line of build-secrets is not NAME=VALUE"),
        ("REGISTRIES", "the secret registries is not a JSON object"),
    ] {
        let ran = made
            .stage
            .run_env("images.sh", &[(variable, "hidden".to_owned())]);
        ran.exits(1).says(said).never_says("hidden");
    }
}

/// A base image that only its owner may read, and one of another registry, which takes
/// what the secret `registries` says: nothing of that is in a layer or the log.
#[test]
fn a_private_base_image() {
    let made = Made::new("base").env("COMPONENTS", r#"["api", "web"]"#);
    let base = format!("{}/base", made.stage.lower());
    push_image(&base, "1");
    policy_of(&made.stage.lower(), &Policy::private());
    made.stage.edit(
        "api/Dockerfile",
        "FROM scratch",
        &format!("FROM ghcr.io/{base}:1"),
    );
    made.images("amd64").exits(0);

    let kept = made.stage.path("base");
    fs::rename(made.layout("api"), &kept).unwrap();
    let digests: Value = serde_json::from_str(&made.stage.output("digests")).unwrap();
    let digest = digests["api"].as_str().unwrap().to_owned();
    let registry = private_registry(kept);
    let from = format!("FROM {registry}/base@{digest}");
    made.stage.edit("web/Dockerfile", "FROM scratch", &from);
    made.images("amd64").exits(1).says("401 Unauthorized");

    let registries = json!({ registry: { "username": "ci", "password": "open-sesame" } });
    let made = made.env("REGISTRIES", &registries.to_string());
    let ran = made.images("amd64");
    ran.exits(0);
    let digests: Value = serde_json::from_str(&made.stage.output("digests")).unwrap();
    let layers = |component: &str| {
        let manifest = blob(&made, component, digests[component].as_str().unwrap());
        manifest["layers"].as_array().unwrap().clone()
    };
    assert!(layers("web").starts_with(&layers("api")));
    for hidden in ["open-sesame", LOGIN] {
        ran.never_says(hidden);
        in_no_blob(&made, "web", hidden);
    }
}

/// `ci:open-sesame`, as a client sends it.
const LOGIN: &str = "Y2k6b3Blbi1zZXNhbWU=";

/// Another registry, with one image that [`LOGIN`] may read.
fn private_registry(layout: PathBuf) -> String {
    web::serve(move |request| {
        if request.header("authorization") != Some(&format!("Basic {LOGIN}")) {
            return Answer::new("401 Unauthorized", "{}")
                .with("WWW-Authenticate", "Basic realm=\"here\"");
        }
        let digest = request.path.rsplit("/sha256:").next().unwrap();
        let Ok(body) = fs::read(layout.join("blobs/sha256").join(digest)) else {
            return Answer::new("200 OK", "{}");
        };
        let kind = if request.path.contains("/manifests/") {
            "application/vnd.oci.image.manifest.v1+json"
        } else {
            "application/octet-stream"
        };
        Answer::new("200 OK", body).with("Content-Type", kind)
    })
}

#[test]
fn what_cannot_be_built_or_pushed_is_told() {
    let mut made = Made::new("refused");
    made.stage
        .edit("web/Dockerfile", "COPY bin/web", "COPY bin/nothing");
    made.images("amd64")
        .exits(1)
        .says("::error title=deploy-signal::the image of web could not be built for linux/amd64")
        .says("bin/nothing");
    made.stage
        .edit("web/Dockerfile", "COPY bin/nothing", "COPY bin/web");

    made.build();
    policy_of(
        &made.stage.lower(),
        &Policy::public().user("reader", PUSH_PASSWORD, Access::Read),
    );
    let made = made.env("GITHUB_ACTOR", "reader");
    made.push()
        .exits(1)
        .says("refuses to take the image api: this repository may not write the package");
}
