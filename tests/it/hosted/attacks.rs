//! Attacks on the hosted half, of somebody who may push some branch, or whose code
//! runs in the job that builds. Each ends with nothing foreign in the signal: the
//! job fails before anything is pushed, or the signal names what was built.
//! docs/hosted-workflow.md has the table.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::{Value, json};
use testbed::chart::Shop;

use super::made::Made;
use super::stage::Stage;
use crate::harness::{Helm, push_chart, push_image};

const TWO: &str = r#"["api", "web"]"#;

fn made(name: &str) -> Made {
    let mut made = Made::new(name).env("COMPONENTS", TWO);
    made.build();
    made
}

/// A file of a layout, by its digest.
fn blob(made: &Made, component: &str, digest: &str) -> PathBuf {
    let name = digest.trim_start_matches("sha256:");
    made.layout(component).join("blobs/sha256").join(name)
}

/// The same, read as JSON.
fn json_of(made: &Made, component: &str, digest: &str) -> Value {
    serde_json::from_slice(&fs::read(blob(made, component, digest)).unwrap()).unwrap()
}

/// Puts another value into the output of the job that builds.
fn forge(made: &mut Made, component: &str, digest: &Value) {
    let mut digests: Value = serde_json::from_str(&made.outputs["DIGESTS_AMD64"]).unwrap();
    digests[component] = digest.clone();
    let forged = digests.to_string();
    made.outputs.insert("DIGESTS_AMD64".to_owned(), forged);
}

/// Someone pushed other images as those of this commit, and another chart as its
/// version, before the run.
#[test]
fn what_lies_under_the_right_name_is_not_taken() {
    let made = made("planted");
    let (owner, head) = (made.stage.lower(), made.stage.head());
    let planted = ["api", "web"]
        .map(|component| push_image(&format!("{owner}/shop/{component}"), &head).by_digest());
    made.push().exits(0);
    let pushed = made.pushed();
    for (component, digest) in made.digests() {
        let expected = format!("ghcr.io/{owner}/shop/{component}@{digest}");
        assert_eq!(pushed[&component], expected);
        assert!(!planted.contains(&pushed[&component]));
    }

    let other = self::made("planted-chart");
    let version = &other.outputs["CHART_VERSION"];
    let chart = Shop::new("shop", version).chart();
    push_chart(&other.stage.lower(), &chart);
    other
        .push()
        .exits(1)
        .says(&other.outputs["CHART_LAYER"])
        .says("A version is never overwritten");
    assert!(!other.stage.put_out("chart"));
}

/// A tag is moved between push and signal. An image's does not count; a chart is
/// named by nothing else, so it is read once more.
#[test]
fn a_tag_moved_between_push_and_signal() {
    let made = made("moved");
    made.push().exits(0);
    let (owner, head) = (made.stage.lower(), made.stage.head());
    let pushed = made.pushed();
    let outputs = fs::read(made.stage.path("temp/output")).unwrap();
    push_image(&format!("{owner}/shop/api"), &head);
    made.signal().exits(0);
    let signal: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&made.stage.output("images")).unwrap();
    assert_eq!(signal, pushed);

    fs::write(made.stage.path("temp/output"), outputs).unwrap();
    let digest = made.stage.output("chart_digest");
    let version = made.stage.output("chart_version");
    push_chart(&owner, &Shop::new("shop", &version).chart());
    made.signal()
        .exits(1)
        .says(&digest)
        .says("Somebody pushed another chart under the version meanwhile");
    assert!(!made.stage.put_out("images"));
}

/// The artifact was deleted and made again, by whoever held the job's token.
#[test]
fn an_artifact_replaced() {
    let made = made("replaced");
    let web = made.layout("web");
    fs::remove_dir_all(made.layout("api")).unwrap();
    fs::rename(web, made.layout("api")).unwrap();
    made.is_refused("api for amd64 does not hold sha256:");

    let made = self::made("no-artifact");
    fs::remove_dir_all(made.stage.path("temp/layouts")).unwrap();
    made.is_refused("api for amd64 does not hold sha256:");
}

/// The bytes under the right digest are others.
#[test]
fn a_part_of_an_image_changed() {
    let made = made("changed");
    let digest = made.digests()["web"].clone();
    let manifest = json_of(&made, "web", &digest);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let path = blob(&made, "web", &layer);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    made.is_refused(&format!("web for amd64 does not hold {layer}"));

    // A link in its place leads to whatever the pushing job can read.
    fs::remove_file(&path).unwrap();
    symlink("/proc/self/environ", &path).unwrap();
    made.is_refused(&format!("web for amd64 does not hold {layer}"));
    fs::remove_file(&path).unwrap();
    bytes.push(0);
    fs::write(&path, &bytes).unwrap();
    made.is_refused(&format!("web for amd64 does not hold {layer}"));
}

/// `prepare` found the file of the step's outputs and wrote into it.
#[test]
fn a_digest_output_forged() {
    let mut made = made("forged");
    let other = push_image(&format!("{}/shop/api", made.stage.lower()), "other");
    let digest = json!(other.digest);
    let held = json!(made.digests()["web"]);
    for (digest, why) in [
        // An image that is in the registry, and not in the artifact.
        (&digest, "api for amd64 does not hold sha256:"),
        (
            &json!("../../../etc/passwd"),
            "api for amd64 does not hold ../",
        ),
        (
            &json!(""),
            "api for amd64 does not hold the digest that its job",
        ),
        (
            &json!({"a": 1}),
            "api for amd64 does not hold the digest that its job",
        ),
        (&held, "api for amd64 does not hold sha256:"),
    ] {
        forge(&mut made, "api", digest);
        made.is_refused(why);
    }
    // A blob of the layout that is no image.
    let web = made.digests()["web"].clone();
    let config = json_of(&made, "web", &web)["config"]["digest"].clone();
    let api = made.layout("api");
    fs::remove_dir_all(&api).unwrap();
    fs::create_dir_all(api.join("blobs/sha256")).unwrap();
    fs::copy(
        blob(&made, "web", config.as_str().unwrap()),
        blob(&made, "api", config.as_str().unwrap()),
    )
    .unwrap();
    forge(&mut made, "api", &config);
    made.is_refused("is no manifest of one image");
    for output in ["", "null", "[]", "***"] {
        made.outputs
            .insert("DIGESTS_AMD64".to_owned(), output.to_owned());
        made.is_refused("the job that builds for linux/amd64 put out no digests");
    }
}

/// What the output names besides the components is not pushed.
#[test]
fn a_further_image_in_the_output() {
    let mut made = made("further");
    let web = json!(made.digests()["web"]);
    forge(&mut made, "other", &web);
    made.push().exits(0);
    assert_eq!(made.pushed().keys().collect::<Vec<_>>(), ["api", "web"]);
}

/// One platform's artifact in place of the other's.
#[test]
fn a_platform_swapped() {
    let mut made = Made::new("platform").for_both().env("COMPONENTS", TWO);
    made.build();
    let layouts = made.stage.path("temp/layouts");
    fs::remove_dir_all(layouts.join("arm64")).unwrap();
    fs::rename(layouts.join("amd64"), layouts.join("arm64")).unwrap();
    made.is_refused("does not hold sha256:");
    fs::rename(layouts.join("arm64"), layouts.join("amd64")).unwrap();
    let copied = std::process::Command::new("cp")
        .args(["-R", "-T"])
        .args([layouts.join("amd64"), layouts.join("arm64")])
        .status();
    assert!(copied.unwrap().success());
    let amd64 = made.outputs["DIGESTS_AMD64"].clone();
    made.outputs.insert("DIGESTS_ARM64".to_owned(), amd64);
    made.is_refused("is built for another platform");
}

/// The chart that was handed on is another one, or a link.
#[test]
fn a_package_replaced() {
    let mut made = made("package");
    let version = &made.outputs["CHART_VERSION"];
    let file = made.stage.path(&format!("temp/package/shop-{version}.tgz"));
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    made.is_refused("which was packed");
    fs::remove_file(&file).unwrap();
    symlink("/proc/self/environ", &file).unwrap();
    made.is_refused("which was packed");
    for (output, value) in [
        ("CHART_NAME", "../package/shop"),
        ("CHART_VERSION", "1.0.0/../x"),
        ("CHART_LAYER", "sha256:0"),
        ("CHART_LAYER", ""),
    ] {
        let before = made.outputs.insert(output.to_owned(), value.to_owned());
        made.is_refused("the job that packs the chart put out no chart");
        made.outputs.insert(output.to_owned(), before.unwrap());
    }
}

/// A dependency is no longer what it was when the version was first pushed.
#[test]
fn a_dependency_swapped() {
    let tagged = Stage::new("dependency")
        .env("GITHUB_REF_TYPE", "tag")
        .env("GITHUB_REF", "refs/tags/v1.0.0")
        .env("GITHUB_REF_NAME", "v1.0.0");
    let owner = tagged.lower();
    push_chart(&owner, &Shop::new("base", "1.0.0").chart());
    tagged.edit(
        "chart/Chart.yaml",
        "type: application",
        &format!(
            "type: application\ndependencies:\n- name: base\n  version: 1.0.0\n  \
             repository: oci://ghcr.io/{owner}/charts"
        ),
    );
    tagged.lock_dependencies();
    tagged.commit("a dependency");
    let mut made = Made::of(tagged).env("COMPONENTS", TWO);
    made.build().push().exits(0);
    let first = made.outputs["CHART_LAYER"].clone();

    let other = Shop::new("base", "1.0.0").chart();
    push_chart(&owner, &other.with("templates/extra.yaml", "# more\n"));
    made.build();
    assert_ne!(made.outputs["CHART_LAYER"], first);
    made.push()
        .exits(1)
        .says(&first)
        .says("A version is never overwritten");
    assert!(!made.stage.put_out("chart"));
}

/// A folder or a Dockerfile that is a link, and links in the context.
#[test]
fn a_build_that_reads_the_runners_files() {
    let made = Made::new("context").env("COMPONENTS", TWO);
    let workspace = made.stage.path("workspace");
    let said = "is not there, or is a link that leads out of the repository";
    symlink(made.stage.path("temp"), workspace.join("stolen")).unwrap();
    let of_a_link =
        r#"["api", {"name": "web", "context": "stolen", "dockerfile": "web/Dockerfile"}]"#;
    let components = [("COMPONENTS", of_a_link.to_owned())];
    made.stage
        .run_env("images.sh", &components)
        .exits(1)
        .says(said);
    let dockerfile = workspace.join("web/Dockerfile");
    let text = fs::read(&dockerfile).unwrap();
    fs::remove_file(&dockerfile).unwrap();
    fs::write(made.stage.path("temp/Dockerfile"), &text).unwrap();
    symlink(made.stage.path("temp/Dockerfile"), &dockerfile).unwrap();
    made.images("amd64").exits(1).says(said);
    fs::remove_file(&dockerfile).unwrap();

    // A link in the context stays one; a path that leads out of it is not found.
    fs::write(
        &dockerfile,
        "FROM scratch\nCOPY ../temp /temp\nCOPY /proc/self/environ /e\n",
    )
    .unwrap();
    made.images("amd64").exits(1).says("could not be built");
    symlink("/proc/self/environ", workspace.join("web/environ")).unwrap();
    fs::write(&dockerfile, "FROM scratch\nCOPY environ /environ\n").unwrap();
    let built = made.images("amd64");
    if built.status.success() {
        for entry in fs::read_dir(made.layout("web").join("blobs/sha256")).unwrap() {
            let path = entry.unwrap().path();
            let unpacked = std::process::Command::new("zcat")
                .arg("-f")
                .arg(path)
                .output();
            let text = String::from_utf8_lossy(&unpacked.unwrap().stdout).into_owned();
            assert!(
                !text.contains("REGISTRY_TOKEN="),
                "the runner's environment is in the image"
            );
        }
    }
}

/// `.dockerignore` that takes everything in, and a context of the whole
/// repository: no file of the workflow's own or of the runner's is there.
#[test]
fn a_context_of_everything() {
    let mut made = Made::new("everything").env(
        "COMPONENTS",
        r#"["api", {"name": "web", "context": ".", "dockerfile": "web/Dockerfile"}]"#,
    );
    let workspace = made.stage.path("workspace");
    fs::write(workspace.join(".dockerignore"), "!**\n").unwrap();
    fs::write(workspace.join("web/Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    made.build().push().exits(0);
    let manifest = json_of(&made, "web", &made.digests()["web"]);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let listed = std::process::Command::new("tar")
        .arg("-tzf")
        .arg(blob(&made, "web", layer))
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("web/main.go"), "{listed}");
    for never in [".deploy-signal", "temp/", "credentials"] {
        assert!(!listed.contains(never), "{never} in {listed}");
    }
}

/// `git ls-remote` lists every ref that ends in the name.
#[test]
fn a_branch_that_ends_like_main() {
    let made = made("suffix");
    made.push().exits(0);
    let stage = &made.stage;
    stage.git(&["commit", "--quiet", "--allow-empty", "--message", "theirs"]);
    stage.git(&["branch", "a/refs/heads/main"]);
    stage.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    made.signal().exits(0);
    assert_eq!(stage.output("superseded"), "false");
}

/// Neither Helm takes part in it: links of the chart are looked at before.
#[test]
fn a_chart_that_reads_the_runners_environment() {
    for helm in [Helm::V3, Helm::V4] {
        let stage = Stage::new("environ").helm(helm);
        symlink("/proc/self/environ", stage.path("workspace/chart/leak")).unwrap();
        stage
            .run("chart.sh")
            .exits(1)
            .says("chart/leak leads out of chart");
        assert!(!stage.path("temp/package").exists());
    }
}
