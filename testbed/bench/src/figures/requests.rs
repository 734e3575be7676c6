//! Requests that are refused: how long a workflow's mistake takes to be told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Figure, Held, beyond, median, pairs, time};

#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "the table that the tests hold deploy against"
)]
#[path = "../../../../tests/data/bad_requests.rs"]
mod bad_requests;

/// `deploy`'s exit code for a request that breaks the contract, and the scripts'.
const INVALID: i32 = 2;

const CHART: &str = "oci://ghcr.io/acme/charts/shop";
const IMAGES: &str = r#"{"api":"ghcr.io/acme/shop/api:1.4.0","web":"ghcr.io/acme/shop/web:1.4.0"}"#;

/// The scripts that `deploy` is held against.
const GLOB: &str = include_str!("glob.sh");
const JQ: &str = include_str!("jq.sh");

/// The figures of refused requests: the whole table of them `passes` times, and each of two
/// mistakes `rounds` times.
pub fn refusals(deploy: &Path, passes: usize, rounds: usize) -> Result<Vec<Figure>> {
    let scratch = Scratch::new(deploy)?;
    let mut table: Vec<Command> = bad_requests::cases()
        .iter()
        .map(|case| scratch.deploy(case.args()))
        .collect();
    let count = table.len();
    let mut nothing = scratch.command(Path::new("/bin/true"));
    let all = pairs(
        count * passes,
        |round| time(&mut table[round % count], INVALID),
        |_| time(&mut nothing, 0),
    )?;
    let all = beyond("a bad request, of all kinds", "/bin/true", &all, 5.0);

    let mistake = request("oci://ghcr.io/acme/shop", IMAGES);
    let chart = scratch.against("glob.sh", GLOB, &mistake, rounds)?;
    let chart = beyond("a chart mistake", "bash with a glob", &chart, 2.0);

    let mistake = request(CHART, &IMAGES.replace("web:1.4.0", "web"));
    let image = scratch.against("jq.sh", JQ, &mistake, rounds)?;
    let image = Figure {
        held: Held::Part,
        bar: 0.1,
        deploy: median(image.iter().map(|pair| pair.0)),
        ..beyond("an image mistake", "bash with jq", &image, 0.0)
    };
    Ok(vec![all, chart, image])
}

fn request(chart: &str, images: &str) -> [String; 8] {
    [
        "--app",
        "shop",
        "--chart",
        chart,
        "--chart-version",
        "1.4.0",
        "--images",
        images,
    ]
    .map(str::to_owned)
}

/// A folder with a deploy.toml that configures nothing.
struct Scratch<'a> {
    folder: tempfile::TempDir,
    deploy: &'a Path,
}

impl<'a> Scratch<'a> {
    fn new(deploy: &'a Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("a folder for the bench's scripts")?;
        fs::write(folder.path().join("deploy.toml"), "")?;
        Ok(Self { folder, deploy })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("DEPLOY_CONFIG", self.folder.path().join("deploy.toml"))
            .current_dir(self.folder.path());
        command
    }

    fn deploy(&self, args: impl IntoIterator<Item = String>) -> Command {
        let mut command = self.command(self.deploy);
        command.args(args);
        command
    }

    /// The same mistake told by `deploy` and by a script.
    fn against(
        &self,
        name: &str,
        script: &str,
        mistake: &[String],
        rounds: usize,
    ) -> Result<Vec<(f64, f64)>> {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, script)?;
        // A script that refuses everything would be fast and prove nothing.
        let mut good = self.command(Path::new("/bin/bash"));
        good.arg(&path).args(request(CHART, IMAGES));
        time(&mut good, 0).with_context(|| format!("{name} with a good request"))?;
        let mut ours = self.deploy(mistake.iter().cloned());
        let mut theirs = self.command(Path::new("/bin/bash"));
        theirs.arg(&path).args(mistake);
        pairs(
            rounds,
            |_| time(&mut ours, INVALID),
            |_| time(&mut theirs, INVALID),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The scripts make the checks that they are measured with. They need jq, as the bench does.
    #[test]
    fn the_glob_tells_good_from_bad() {
        let scratch = Scratch::new(Path::new("/bin/false")).unwrap();
        let path = scratch.folder.path().join("glob.sh");
        fs::write(&path, GLOB).unwrap();
        for (chart, code) in [(CHART, 0), ("oci://ghcr.io/acme/shop", INVALID)] {
            let mut bash = scratch.command(Path::new("/bin/bash"));
            bash.arg(&path).args(request(chart, IMAGES));
            assert!(time(&mut bash, code).is_ok(), "{chart}");
        }
    }
}
