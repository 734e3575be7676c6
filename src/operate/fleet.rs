//! `deploy status` of an app that is carried out in several clusters: what each target
//! serves, and whether that was judged good.
//!
//! It only looks: the engine is asked what each target holds, and nothing is written.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::status::{Health, Line, at_work, holder, last_failed};
use crate::cluster::client::connect;
use crate::engine::{Engine, Wanted};
use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::plan::fleet::{Fleet, TargetName};
use crate::run;
use crate::signal::App;
use crate::state::freeze::{self, Freeze};
use crate::state::journal::{self, Entry};
use crate::text;
use crate::units;

/// How long a target may take to say what it holds: an engine waits for whoever is at
/// work on it, and a look does not.
const PATIENCE: Duration = Duration::from_secs(10);

/// The version of the form of `--json`.
const VERSION: u32 = 1;

/// What is known of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// Its name.
    pub name: String,
    /// Its wave, from 1.
    pub wave: usize,
    /// Its cluster, for people; none where it could not be looked at.
    pub cluster: Option<String>,
    /// The chart's version that it holds.
    pub held: Option<String>,
    /// The version that was judged good last.
    pub good: Option<String>,
    /// Whether what it holds was judged good.
    pub is_good: bool,
    /// What a person should know of it, a line each.
    pub said: Vec<String>,
}

/// The status of an app in several clusters.
#[derive(Clone, Debug)]
pub struct FleetStatus {
    /// The app.
    pub app: App,
    /// Where its targets are kept.
    pub namespace: String,
    /// How it is.
    pub health: Health,
    /// Each target, in the order of the waves.
    pub targets: Vec<TargetStatus>,
    /// The last run that brought every target to what it asked for.
    pub run: Option<Entry>,
    /// The last run that failed.
    pub failed: Option<Entry>,
    /// The freezes that count.
    pub freezes: Vec<Freeze>,
    /// Who holds the app's lock or Lease.
    pub holder: Option<String>,
}

/// Looks at every target. The first error where none can be looked at.
pub async fn of<E: Engine>(plan: &Plan, fleet: &Fleet, engine: &E) -> Result<FleetStatus> {
    let numbered = fleet.waves.iter().enumerate();
    let numbered = numbered.flat_map(|(at, wave)| wave.iter().map(move |name| (at + 1, name)));
    let looks = numbered.map(async |(wave, name)| look(engine, wave, name).await);
    let mut targets = Vec::new();
    let mut first: Option<Error> = None;
    for (target, error) in join_all(looks).await {
        targets.push(target);
        if let Some(error) = error {
            first.get_or_insert(error);
        }
    }
    if let Some(error) = first
        && targets.iter().all(|target| target.cluster.is_none())
    {
        return Err(error);
    }
    let client = connect(plan).await?;
    let app = plan.request.app.clone();
    Ok(FleetStatus {
        namespace: fleet.namespace.clone(),
        health: health(&targets),
        targets,
        run: last_deployed(plan),
        failed: last_failed(plan),
        freezes: freeze::of(&plan.freezes, &app, run::now())?,
        holder: holder(&client, plan).await,
        app,
    })
}

async fn look<E: Engine>(
    engine: &E,
    wave: usize,
    name: &TargetName,
) -> (TargetStatus, Option<Error>) {
    let target = TargetStatus {
        name: name.to_string(),
        wave,
        cluster: None,
        held: None,
        good: None,
        is_good: false,
        said: Vec::new(),
    };
    let version = |wanted: &Option<Wanted>| {
        let wanted = wanted.as_ref();
        wanted.map(|wanted| wanted.version.to_string())
    };
    let silent = || {
        let seconds = PATIENCE.as_secs();
        let message = format!("no answer within {seconds} s: somebody can be at work on it");
        Err(Error::new(Kind::Node, message))
    };
    let asked = timeout(PATIENCE, engine.observe(name)).await;
    match asked.unwrap_or_else(|_| silent()) {
        Ok(seen) => (
            TargetStatus {
                held: version(&seen.held),
                good: version(&seen.good),
                is_good: seen.is_good(),
                cluster: Some(seen.cluster),
                said: seen.warnings,
                ..target
            },
            None,
        ),
        Err(error) => (
            TargetStatus {
                said: vec![error.to_string()],
                ..target
            },
            Some(error),
        ),
    }
}

/// How an app is by its targets.
fn health(targets: &[TargetStatus]) -> Health {
    if targets.iter().all(|target| target.is_good) {
        Health::Ready
    } else if targets.iter().any(|target| target.cluster.is_none()) {
        Health::NotReady
    } else if targets.iter().all(|target| target.good.is_none()) {
        Health::NothingServes
    } else {
        Health::Pending
    }
}

fn last_deployed(plan: &Plan) -> Option<Entry> {
    let fits = |entry: &Entry| {
        entry.request.app == plan.request.app.as_str()
            && entry.exit == 0
            && !entry.dry_run
            && !entry.targets.is_empty()
    };
    journal::read(&plan.state, 1, fits).ok()?.into_iter().next()
}

impl TargetStatus {
    /// How it is, in a few words.
    fn words(&self) -> String {
        match (&self.cluster, self.is_good, &self.held, &self.good) {
            (None, ..) => "not known".to_owned(),
            (_, true, ..) => "good".to_owned(),
            (_, _, None, _) => "nothing was asked of it".to_owned(),
            (_, _, _, None) => "not judged".to_owned(),
            (_, _, _, Some(good)) => {
                format!("not judged, {} was good", text::line(good, text::VALUE))
            }
        }
    }
}

impl FleetStatus {
    /// In one line.
    pub fn line(&self) -> Line {
        Line {
            health: at_work(self.health, self.holder.is_some()),
            revision: Some(units::count(self.targets.len(), "target")),
            version: Some(self.version().unwrap_or("several").to_owned()),
            drift: None,
            frozen: !self.freezes.is_empty(),
        }
    }

    /// The version that every target holds, where it is one.
    pub fn version(&self) -> Option<&str> {
        let mut held = self.targets.iter().map(|target| target.held.as_deref());
        let first = held.next()??;
        held.all(|other| other == Some(first)).then_some(first)
    }
}

/// Everything that is known of an app, as people read it.
pub fn screen(status: &FleetStatus) -> Vec<String> {
    let cell = |value: &str| text::line(value, text::LINE).into_owned();
    let mut lines = vec![
        format!("app      {}: {}", status.app, status.health.name()),
        format!("argocd   in namespace {}", cell(&status.namespace)),
    ];
    if let Some(run) = &status.run {
        lines.push(format!(
            "by       run {}, {} {}",
            run.run,
            cell(&run.request.chart),
            cell(&run.request.version)
        ));
    }
    if let Some(failed) = &status.failed {
        lines.push(format!(
            "failed   last in run {}: {} ({})",
            failed.run,
            text::line(&failed.outcome, 60),
            failed.exit
        ));
        let cause = failed.cause.iter();
        lines.extend(cause.map(|cause| format!("         {}", text::line(cause, 300))));
    }
    let freezes = status.freezes.iter();
    lines.extend(freezes.map(|freeze| format!("freeze   {}", freeze.line())));
    let holder = status.holder.iter();
    lines.extend(holder.map(|holder| format!("lock     held by {holder}")));
    lines.extend(table(&status.targets));
    lines
}

/// The columns, in their order.
const HEAD: [&str; 5] = ["TARGET", "WAVE", "CLUSTER", "HOLDS", "STATUS"];

/// A line for each target, and what is known of it besides below.
fn table(targets: &[TargetStatus]) -> Vec<String> {
    let cell = |value: &str| text::fit(&text::line(value, text::VALUE), 40).into_owned();
    let or_none = |value: &Option<String>| value.as_deref().map_or("-".to_owned(), cell);
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(targets.iter().map(|target| {
        [
            cell(&target.name),
            target.wave.to_string(),
            or_none(&target.cluster),
            or_none(&target.held),
            target.words(),
        ]
    }));
    let widths: [usize; 5] = std::array::from_fn(|at| {
        let cells = rows.iter().map(|row| text::columns(&row[at]));
        cells.max().unwrap_or(0)
    });
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths);
        let cells = cells
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width + 2 - text::columns(cell))));
        cells.collect::<String>().trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.first().map(line).into_iter().collect();
    for (target, row) in targets.iter().zip(rows.iter().skip(1)) {
        lines.push(line(row));
        let said = target.said.iter();
        lines.extend(said.map(|said| format!("  {}", text::line(said, text::LINE))));
    }
    lines
}

/// One JSON object.
pub fn as_json(status: &FleetStatus) -> Value {
    let targets = status.targets.iter().map(|target| {
        json!({
            "name": target.name,
            "wave": target.wave,
            "cluster": target.cluster,
            "version": target.held,
            "good": target.good,
            "is_good": target.is_good,
            "said": target.said,
        })
    });
    json!({
        "version": VERSION,
        "app": status.app,
        "release": status.app,
        "namespace": status.namespace,
        "health": status.health.name(),
        "exit": status.health.exit().code(),
        "targets": targets.collect::<Vec<_>>(),
        "run": status.run,
        "failed": status.failed,
        "freezes": status.freezes,
        "holder": status.holder,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{FleetStatus, TargetStatus, as_json, health, screen};
    use crate::error::{Exit, Kind};
    use crate::operate::status::Health;
    use crate::state::journal::tests::entry;

    fn target(name: &str, held: Option<&str>, good: Option<&str>) -> TargetStatus {
        TargetStatus {
            name: name.to_owned(),
            wave: 1,
            cluster: Some(name.trim_start_matches("shop-").to_owned()),
            held: held.map(str::to_owned),
            good: good.map(str::to_owned),
            is_good: held.is_some() && held == good,
            said: Vec::new(),
        }
    }

    fn unreached(name: &str) -> TargetStatus {
        TargetStatus {
            cluster: None,
            said: vec!["the Application is\nbeing deleted".to_owned()],
            ..target(name, None, None)
        }
    }

    #[test]
    fn the_health_of_an_app_is_that_of_its_targets() {
        let good = || target("shop-eu", Some("1.0.0"), Some("1.0.0"));
        for (targets, is) in [
            (vec![good(), good()], Health::Ready),
            (vec![good(), unreached("shop-us")], Health::NotReady),
            (
                vec![good(), target("shop-us", Some("2.0.0"), Some("1.0.0"))],
                Health::Pending,
            ),
            (vec![good(), target("shop-us", None, None)], Health::Pending),
            (
                vec![target("shop-us", Some("2.0.0"), None)],
                Health::NothingServes,
            ),
        ] {
            assert_eq!(health(&targets), is, "{targets:?}");
        }
    }

    #[test]
    fn one_screen_tells_what_each_target_serves() {
        let targets = vec![
            target("shop-canary", Some("1.1.0"), Some("1.1.0")),
            target("shop-eu", Some("1.1.0"), Some("1.0.0")),
            target("shop-us", None, None),
            unreached("shop-asia"),
        ];
        let status = FleetStatus {
            app: "shop".parse().unwrap(),
            namespace: "argocd".to_owned(),
            health: health(&targets),
            targets,
            run: Some(entry("shop", Exit::Deployed)),
            failed: Some(entry("shop", Exit::Failed(Kind::Broken)).with_cause("api: crashed")),
            freezes: Vec::new(),
            holder: None,
        };
        assert_eq!(status.version(), None);
        let shown = screen(&status).join("\n") + "\n";
        let runs = shown.lines().filter(|line| line.contains("run 2026"));
        assert_eq!(runs.count(), 2, "{shown}");
        let shown: Vec<&str> = shown
            .lines()
            .filter(|line| !line.contains("run 2026"))
            .collect();
        snapbox::assert_data_eq!(
            shown.join("\n") + "\n",
            snapbox::str![[r"
app      shop: not Ready
argocd   in namespace argocd
         api: crashed
TARGET       WAVE  CLUSTER  HOLDS  STATUS
shop-canary  1     canary   1.1.0  good
shop-eu      1     eu       1.1.0  not judged, 1.0.0 was good
shop-us      1     us       -      nothing was asked of it
shop-asia    1     -        -      not known
  the Application is/nbeing deleted

"]]
        );
        let object = as_json(&status);
        assert_eq!(object["targets"][1]["good"], "1.0.0");
        assert_eq!(object["exit"], 7);
    }
}
