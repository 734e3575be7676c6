//! cosign itself, of both majors: it takes what the step that signs writes, and a node
//! takes what it writes. Only in a soak: the two are minutes to build, and what they
//! once wrote is judged always (`src/provenance/tests/cosign.rs`).

#![expect(clippy::print_stdout, reason = "what is not run is told")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::KeyPair;
use testbed::build::{self, Cache};
use testbed::ghcr::{PUSH_PASSWORD, PUSH_USER};
use testbed::progress::Progress;

use super::made::Made;
use crate::harness::{Helm, Node, SCRIPT, bed, soak};

/// Who may be asked for what while something is signed: nobody.
const NO_SERVICES: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[],"oidcUrls":[],"rekorTlogUrls":[],"rekorTlogConfig":{},"tsaUrls":[],"tsaConfig":{}}"#;

/// Whom it trusts besides the key: nobody, or it would ask for a list.
const NOBODY: &str = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;

struct Cosign<'a> {
    program: PathBuf,
    folder: &'a Path,
}

impl Cosign<'_> {
    fn run(&self, arguments: &[&str]) {
        let info = &bed().info;
        let ran = Command::new(&self.program)
            .args(arguments)
            .current_dir(self.folder)
            .env_clear()
            .env("HOME", self.folder)
            .env("PATH", "/usr/bin:/bin")
            .env("COSIGN_PASSWORD", "")
            .env("HTTPS_PROXY", &info.proxy)
            .env("SSL_CERT_FILE", &info.ca)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{arguments:?}: {said}");
    }

    /// With a file of another key it must fail.
    fn refuses(&self, arguments: &[&str]) {
        let ran = std::panic::catch_unwind(|| self.run(arguments));
        assert!(ran.is_err(), "{arguments:?}");
    }
}

#[test]
fn cosign_takes_what_is_signed_and_is_taken() {
    if !soak::is_on() {
        println!("not run here: cargo testbed soak hosted::cosign");
        return;
    }
    let cache = Cache::open().unwrap();
    let programs = build::cosign(&cache, Progress::stderr()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let [two, three] = programs.map(|program| Cosign {
        program,
        folder: scratch.path(),
    });
    let put = |name: &str, content: &str| fs::write(scratch.path().join(name), content).unwrap();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    put("ours.pub", &key.public_key_pem());
    put("other.pub", &other.public_key_pem());
    put("services.json", NO_SERVICES);
    put("nobody.json", NOBODY);
    three.run(&["generate-key-pair", "--output-key-prefix", "theirs"]);
    let theirs = fs::read_to_string(scratch.path().join("theirs.pub")).unwrap();

    for (name, cosign) in [("cosign-two", &two), ("cosign-three", &three)] {
        let mut made = Made::new(name);
        made.build().push().exits(0);
        let outputs = ["images", "chart", "chart_digest", "chart_version"];
        let [images, chart, digest, version] = outputs.map(|name| made.stage.output(name));
        let pushed = made.pushed();
        let mut all: Vec<String> = pushed.values().cloned().collect();
        all.push(format!("{}@{digest}", chart.trim_start_matches("oci://")));

        let sign = [
            ("IMAGES", images),
            ("CHART", chart.clone()),
            ("CHART_DIGEST", digest),
            ("SIGNING_KEY", key.serialize_pem()),
        ];
        made.stage.run_env("sign.sh", &sign).exits(0);
        let is_two = name == "cosign-two";
        let bundles: &[&str] = if is_two {
            &["--new-bundle-format"]
        } else {
            &[]
        };
        for reference in &all {
            let verify = |key: &'static str| {
                let verify = ["verify", "--insecure-ignore-tlog=true", "--key", key];
                let root = ["--trusted-root", "nobody.json"];
                [&verify[..], bundles, &root, &[reference.as_str()]].concat()
            };
            cosign.run(&verify("ours.pub"));
            cosign.refuses(&verify("other.pub"));
        }

        let node = Node::new(name, Helm::V4);
        let toml = "[defaults]\nverify = { key = \"deploy.pub\" }\n";
        node.home.write_etc("deploy/deploy.toml", toml, 0o644);
        node.home.write_etc("deploy/deploy.pub", &theirs, 0o644);
        let deploy = || {
            let wanted = serde_json::json!({ "api": pushed["api"], "web": pushed["web"] });
            node.shell(&format!(
                "exec {SCRIPT} --app {} --chart {chart} --chart-version {version} --images '{wanted}' --dry-run",
                node.name
            ))
        };
        deploy()
            .exits(4)
            .says("its signature is not one of the key");
        let services: &[&str] = if is_two {
            &["--tlog-upload=false"]
        } else {
            &["--signing-config", "services.json"]
        };
        for reference in &all {
            let sign = ["sign", "--yes", "--key", "theirs.key"];
            let user = ["--registry-username", PUSH_USER];
            let password = ["--registry-password", PUSH_PASSWORD];
            let reference = [reference.as_str()];
            cosign.run(&[&sign[..], services, &user, &password, &reference].concat());
        }
        deploy().exits(0).says("origin proven of chart, api, web");
    }
}
