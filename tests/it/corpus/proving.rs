//! Proves a chart's folder with `helm template` and lines of deploy.toml.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use deploy::chart::{self, Chart, Proof, Render};
use deploy::node::Config;
use deploy::plan::ImageRules;
use deploy::signal::{ImageKey, ImageRef};
use deploy::{Error, Kind};
use serde_json::Value;

/// `helm template`, counted.
struct Helm<'a> {
    program: &'a Path,
    folder: &'a Path,
    node: &'a str,
    count: std::sync::atomic::AtomicUsize,
}

impl Render for Helm<'_> {
    async fn render(&self, overrides: &Value) -> deploy::Result<String> {
        self.count
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), overrides.to_string()).unwrap();
        let node = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(node.path(), self.node).unwrap();
        let output = tokio::process::Command::new(self.program)
            .args(["template", "shop"])
            .arg(self.folder)
            .args(["--namespace", "shop", "--skip-tests", "-f"])
            .arg(node.path())
            .arg("-f")
            .arg(file.path())
            .env_clear()
            .env("HOME", "/nonexistent")
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(Kind::Chart, "the chart does not render")
                .details(deploy::text::tail(&said, 3)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// What deploy.toml says with these lines under the app.
fn rules(lines: &[String]) -> Result<ImageRules, String> {
    let text = format!("[apps.shop]\n{}\n", lines.join("\n"));
    let config = Config::parse(&text, Path::new("/etc/deploy/deploy.toml"))
        .map_err(|error| format!("{error}: {text}"))?;
    let app = config.apps.values().next().cloned().unwrap_or_default();
    Ok(ImageRules {
        layouts: app
            .images
            .into_iter()
            .filter(|(_, paths)| !paths.is_empty())
            .collect(),
        parts: app.image_parts,
        absent: app.absent,
        allowed: app.allow_images,
    })
}

/// Proves a chart's folder; how many renders it took.
pub fn prove(
    program: &Path,
    folder: &Path,
    node: &str,
    deploy: &[String],
    images: &BTreeMap<ImageKey, ImageRef>,
) -> (deploy::Result<Proof>, usize) {
    let chart = match super::expect::package(folder).map(|archive| Chart::read(archive.as_slice()))
    {
        Ok(Ok(chart)) => chart,
        Ok(Err(error)) => return (Err(error), 0),
        Err(error) => return (Err(Error::new(Kind::Node, error.to_string())), 0),
    };
    let helm = Helm {
        program,
        folder,
        node,
        count: 0.into(),
    };
    let values = [chart::values::parse("the node's values", node).unwrap()];
    let rules = match rules(deploy) {
        Ok(rules) => rules,
        Err(error) => return (Err(Error::new(Kind::Node, error)), 0),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let proof = runtime.block_on(chart::prove(&chart, &values, &rules, images, &helm));
    (proof, helm.count.into_inner())
}
