//! What a crowded namespace costs: `deploy`'s memory and its list requests with other releases'
//! pods around.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::chart::Shop;
use crate::client::Info;
use crate::image::Spec;
use crate::push::Pusher;
use crate::site::Site;

const OWNER: &str = "bench-scale";
const VERSION: &str = "1.0.0";

/// How many kubectl make pods at the same time: each of them keeps to 50 a second.
const HANDS: usize = 8;

/// An upgrade in a namespace with so many pods of others.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// How many pods.
    pub pods: usize,
    /// The most memory of `deploy` itself, in bytes.
    pub memory: u64,
    /// How many list requests it made itself.
    pub lists: usize,
    /// How many watches it opened.
    pub watches: usize,
}

/// Upgrades a release in namespaces with so many pods each.
pub fn crowds(info: &Info, deploy: &Path, counts: &[usize]) -> Result<Vec<Crowd>> {
    let pusher = Pusher::new(info)?;
    pusher.chart(OWNER, &Shop::new("shop", VERSION).chart())?;
    for (key, tag) in [("api", "a"), ("api", "b"), ("web", "a")] {
        pusher.image(&format!("{OWNER}/shop/{key}"), tag, &Spec::default())?;
    }
    counts
        .iter()
        .map(|pods| crowd(info, deploy, *pods))
        .collect()
}

fn crowd(info: &Info, deploy: &Path, pods: usize) -> Result<Crowd> {
    let app = format!("crowd-{pods}-{}", std::process::id());
    let site = Site::new(info, &info.helm4, deploy, "", vec![app.clone()])?;
    let first = site
        .signal(&app, OWNER, VERSION, ["a", "a"])
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&first.stderr);
    ensure!(first.status.success(), "the first deploy failed:\n{said}");
    std::thread::scope(|scope| {
        let made: Vec<_> = (0..HANDS)
            .map(|hand| {
                let share = (hand..pods).step_by(HANDS);
                let (site, app) = (&site, &app);
                scope.spawn(move || site.apply(hand, &others(app, share)))
            })
            .collect();
        made.into_iter()
            .try_for_each(|made| made.join().unwrap_or_else(|_| bail!("pods were not made")))
    })?;
    upgrade(&site, &app, pods)
}

/// Pods of other releases, as large as pods are, which no scheduler takes.
fn others(namespace: &str, numbers: impl Iterator<Item = usize>) -> String {
    let pod = |number: usize| {
        let release = format!("other-{}", number % 50);
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": format!("{release}-{number}"),
                "namespace": namespace,
                "labels": {
                    "app.kubernetes.io/instance": release,
                    "app.kubernetes.io/component": "api",
                    "app.kubernetes.io/managed-by": "Helm",
                },
                "annotations": { "acme.io/config": "x".repeat(2000) },
            },
            "spec": {
                "schedulerName": "nobody",
                "containers": [{
                    "name": "api",
                    "image": "ghcr.io/acme/other/api:1.0.0",
                    "env": (0..20).map(|at| json!({"name": format!("SETTING_{at}"), "value": "some words"})).collect::<Vec<_>>(),
                }],
            },
        })
    };
    let items: Vec<_> = numbers.map(pod).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn upgrade(site: &Site<'_>, app: &str, pods: usize) -> Result<Crowd> {
    let log = site.path("upgrade.log");
    let mut deploy = site
        .signal(app, OWNER, VERSION, ["b", "a"])
        .env("DEPLOY_LOG", "debug")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .spawn()?;
    let path = format!("/proc/{}/status", deploy.id());
    let mut memory = 0;
    let status = loop {
        let now = fs::read_to_string(&path).ok();
        let now = now.as_deref().and_then(high_water).unwrap_or(0);
        memory = memory.max(now * 1024);
        if let Some(status) = deploy.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let log = fs::read_to_string(&log).context("what deploy said")?;
    ensure!(status.success(), "deploy ended with {status}:\n{log}");
    let of = |word: &str| {
        let begun = log.lines().filter(|line| line.ends_with("requesting"));
        begun.filter(|line| line.contains(word)).count()
    };
    Ok(Crowd {
        pods,
        memory,
        lists: of("\"list"),
        watches: of("\"watch"),
    })
}

/// `VmHWM` of a process's status file, in KiB.
pub fn high_water(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read() {
        let status = "Name:\tdeploy\nVmPeak:\t  900 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(high_water(status), Some(12345));
        assert_eq!(high_water("Name:\tx\n"), None);
    }
}
