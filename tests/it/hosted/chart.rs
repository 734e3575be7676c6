//! The chart's way to the registry: packed to the same bytes each time, pushed
//! once, and a version is never overwritten.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use testbed::ghcr::{Fault, Kind, Policy};

use super::made::Made;
use super::stage::Stage;
use crate::harness::{Helm, policy_of};

/// Packs, and gives the layer's digest.
fn packed(stage: &Stage) -> String {
    stage.run("chart.sh").exits(0);
    stage.output("layer")
}

/// Of one commit both Helms make the same bytes, at any time of day.
#[test]
fn a_commit_is_one_package() {
    let stage = Stage::new("same");
    let layer = packed(&stage);
    let version = format!("0.1.0-g{}", &stage.head()[..12]);
    assert_eq!(stage.output("version"), version);
    let file = stage.path(&format!("temp/package/shop-{version}.tgz"));
    let first = fs::read(&file).unwrap();
    // Times and owners of the checkout are nobody's.
    fs::set_permissions(
        stage.path("workspace/chart/values.yaml"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let stage = stage.helm(Helm::V3);
    assert_eq!(packed(&stage), layer);
    assert_eq!(fs::read(file).unwrap(), first);
}

/// And only where it is the same is what is there taken.
#[test]
fn a_version_is_pushed_once() {
    let tagged = Stage::new("once")
        .env("GITHUB_REF_TYPE", "tag")
        .env("GITHUB_REF", "refs/tags/v1.0.0")
        .env("GITHUB_REF_NAME", "v1.0.0");
    let mut made = Made::of(tagged).env("COMPONENTS", r#"["api", "web"]"#);
    made.build().push().exits(0);
    assert_eq!(made.stage.output("chart_version"), "1.0.0");
    assert_eq!(
        made.stage.output("chart"),
        format!("oci://ghcr.io/{}/charts/shop", made.stage.lower())
    );
    let (digest, count) = (made.stage.output("chart_digest"), made.charts_pushed());
    made.build()
        .push()
        .exits(0)
        .says("charts/shop 1.0.0 is there");
    assert_eq!(made.stage.output("chart_digest"), digest);
    assert_eq!(made.charts_pushed(), count, "nothing was pushed again");
    made.signal().exits(0);

    let first = made.outputs["CHART_LAYER"].clone();
    made.stage
        .edit("chart/values.yaml", "replicas: 2", "replicas: 3");
    made.stage.commit("more pods");
    made.build();
    let second = made.outputs["CHART_LAYER"].clone();
    assert_ne!(first, second);
    made.push()
        .exits(1)
        .says(&first)
        .says(&second)
        .says("A version is never overwritten");
    assert_eq!(made.charts_pushed(), count);
}

/// An address and annotations that a chart has of its own stay; what the workflow
/// says of it is said once.
#[test]
fn what_a_chart_says_of_itself_stays() {
    let mut made = Made::new("own").env("COMPONENTS", r#"["api", "web"]"#);
    made.stage.edit(
        "chart/Chart.yaml",
        "type: application",
        "type: application\nsources: [\"https://example.invalid/shop\"]\nannotations:\n  \
         org.opencontainers.image.revision: theirs\n  team: shop",
    );
    let commit = made.stage.commit("more of itself");
    made.build().push().exits(0);
    let (chart, version) = (
        made.stage.output("chart"),
        made.stage.output("chart_version"),
    );
    let shown = made.stage.helm_shows(&chart, &version);
    assert!(shown.contains("  team: shop\n"), "{shown}");
    let source = format!("https://github.com/{}/Shop", made.stage.owner);
    let ours = format!("sources:\n- {source}\n- https://example.invalid/shop\n");
    assert!(shown.contains(&ours), "{shown}");
    let manifest = made
        .stage
        .registry(&format!("{}/charts/shop", made.stage.lower()), &version);
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let said = &manifest["annotations"];
    assert_eq!(said["org.opencontainers.image.source"], source);
    assert_eq!(said["org.opencontainers.image.revision"], commit);
}

/// A chart of the same repository, taken by its path and by one of its own.
fn with_common(stage: &Stage) {
    let common = stage.path("workspace/common");
    fs::create_dir_all(common.join("templates")).unwrap();
    fs::create_dir_all(stage.path("workspace/base")).unwrap();
    let chart = |name: &str, rest: &str| {
        format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\ntype: library\n{rest}")
    };
    let base = "dependencies:\n- name: base\n  version: 1.0.0\n  repository: file://../base\n";
    fs::write(common.join("Chart.yaml"), chart("common", base)).unwrap();
    fs::write(
        common.join("templates/_a.tpl"),
        "{{ define \"a\" }}1{{ end }}",
    )
    .unwrap();
    let path = stage.path("workspace/base/Chart.yaml");
    fs::write(path, chart("base", "")).unwrap();
    stage.edit(
        "chart/Chart.yaml",
        "type: application",
        "type: application\ndependencies:\n- name: common\n  version: 1.0.0\n  repository: file://../common",
    );
    stage.commit("a common chart");
}

/// Their source is part of what makes a version.
#[test]
fn charts_of_the_same_repository_are_taken() {
    let stage = Stage::new("common");
    with_common(&stage);
    let first = packed(&stage);
    assert_eq!(packed(&stage.helm(Helm::V3)), first);

    let stage = Stage::new("common");
    with_common(&stage);
    let first = packed(&stage);
    let version = stage.output("version");
    let listed = std::process::Command::new("tar")
        .arg("-tzf")
        .arg(stage.path(&format!("temp/package/shop-{version}.tgz")))
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for file in [
        "shop/charts/common/templates/_a.tpl",
        "shop/charts/common/charts/base/Chart.yaml",
    ] {
        assert!(listed.contains(file), "{listed}");
    }
    assert!(!listed.contains("Chart.lock"), "{listed}");
    let head = stage.head();
    stage.edit("common/templates/_a.tpl", "1", "2");
    let stage = stage.env("GITHUB_SHA", &head);
    assert_ne!(packed(&stage), first);
}

/// What a link leads to would be in the package: of the runner's files, too.
#[test]
fn links_that_leave_the_charts_folder_are_refused() {
    for (at, to) in [
        ("chart/environ", "/proc/self/environ"),
        ("chart/templates/up.yaml", "../../api/Dockerfile"),
        ("chart/gone", "nowhere"),
        ("common/passwd", "/etc/passwd"),
    ] {
        let stage = Stage::new("links");
        with_common(&stage);
        symlink(to, stage.path("workspace").join(at)).unwrap();
        let folder = Path::new(at).components().next().unwrap();
        stage.run("chart.sh").exits(1).says(&format!(
            "{at} leads out of {}",
            folder.as_os_str().display()
        ));
        assert!(!stage.put_out("layer"), "{at}");
    }
    let stage = Stage::new("links");
    symlink("values.yaml", stage.path("workspace/chart/other.yaml")).unwrap();
    stage.run("chart.sh").exits(0);
    // The folder itself, and a dependency's.
    symlink("/etc", stage.path("workspace/etc")).unwrap();
    for (chart, said) in [
        ("etc", "etc is not there, or leads out of the repository"),
        ("../chart", "is no path inside the repository"),
        ("/etc", "is no path inside the repository"),
    ] {
        let variables = [("CHART", chart.to_owned())];
        stage.run_env("chart.sh", &variables).exits(1).says(said);
    }
    stage.edit(
        "chart/Chart.yaml",
        "type: application",
        "type: application\ndependencies:\n- name: etc\n  version: 1.0.0\n  repository: file://../../../etc",
    );
    stage
        .run("chart.sh")
        .exits(1)
        .says("leads out of the repository");
}

#[test]
fn a_registry_that_does_not_say_leads_to_no_push() {
    let mut made = Made::new("fault").env("COMPONENTS", r#"["api", "web"]"#);
    made.build();
    for (status, said) in [
        (500, "did not say whether"),
        (429, "did not say whether"),
        (403, "does not let this job read"),
    ] {
        let fault = Fault::status(Kind::Manifest, status).package("charts/shop");
        policy_of(&made.stage.lower(), &Policy::public().fault(fault));
        made.push().exits(1).says(said).says(&status.to_string());
        assert_eq!(made.charts_pushed(), 0, "{status}");
    }
    let cut = Fault::cut_off(Kind::Manifest, 0).package("charts/shop");
    policy_of(&made.stage.lower(), &Policy::public().fault(cut));
    made.push().exits(1).says("did not say whether");
    assert_eq!(made.charts_pushed(), 0);
}

#[test]
fn no_chart_is_told() {
    let stage = Stage::new("none").env("CHART", "charts/shop");
    stage
        .run("chart.sh")
        .exits(1)
        .says("charts/shop is no chart")
        .says("names the folder with Chart.yaml");
}

/// Nothing outside the workspace and the runner's own temp is written, nor left
/// there but what is handed on.
#[test]
fn nothing_is_written_elsewhere() {
    let stage = Stage::new("traced");
    let (ran, written) = stage.traced("chart.sh");
    ran.exits(0);
    stage.wrote_only(&written);
    let mut left: Vec<_> = fs::read_dir(stage.path("temp"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["output", "package"]);
}
