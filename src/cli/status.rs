//! `deploy status`: what runs, and whether it is still what was deployed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::time::Duration;

use super::{load_operated, runtime};
use crate::argocd::{ArgoCd, Hub};
use crate::error::{Error, Exit, Kind, Result};
use crate::host::Environment;
use crate::node::{self, Node};
use crate::operate::fleet::{self, FleetStatus};
use crate::operate::known;
use crate::operate::status::{self, Line, Status};
use crate::plan::Plan;
use crate::report;
use crate::run::{self, RunId};
use crate::signal::App;
use crate::state;

/// How often `--watch` looks.
const EACH: Duration = Duration::from_secs(2);

/// Puts the cursor home and clears the screen.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// What `deploy status` takes.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct StatusArgs {
    /// The application; without it, a line for each
    #[arg(value_name = "app")]
    pub app: Option<App>,
    /// One JSON object for each application, for scripts
    #[arg(long)]
    pub json: bool,
    /// Look again every two seconds, until it is stopped
    #[arg(long)]
    pub watch: bool,
}

/// Looks, and prints it.
pub(super) fn run(invoked_as: &OsStr, args: &StatusArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    report::trace::start(&environment);
    let node = load_operated(invoked_as, &environment)?;
    let plans = plans(args, &node, &environment)?;
    runtime::on_this_thread(async {
        let mut last = Vec::new();
        loop {
            let (lines, exit) = look(args, &plans).await?;
            let redraws = args.watch && !args.json && std::io::stdout().is_terminal();
            if redraws {
                report::print(&environment, &[format!("{CLEAR}{}", lines.join("\n"))]);
            } else if lines != last {
                // Lines that go elsewhere are told again only where they changed.
                report::print_wrapped(&environment, &lines);
            }
            if !args.watch {
                return Ok(exit);
            }
            last = lines;
            tokio::time::sleep(EACH).await;
        }
    })?
}

/// What is known of each app before the cluster is asked.
fn plans(args: &StatusArgs, node: &Node, environment: &Environment) -> Result<Vec<Plan>> {
    let apps = match &args.app {
        Some(app) => {
            known(app, node)?;
            vec![app.clone()]
        }
        None if node.config.apps.is_empty() => {
            let state = state::directory(environment, node.uid, &node.accounts, &node.cwd)?;
            status::apps_of_journal(&state.path)
        }
        None => node.config.apps.keys().cloned().collect(),
    };
    let plan = |app: &App| {
        let request = node::stand_in(app, node)?;
        Ok(node::plan_unchecked(request, node, environment)?.0)
    };
    apps.iter().map(plan).collect()
}

/// An app, as it was found.
enum Found {
    Release(Box<Status>),
    Fleet(Box<FleetStatus>),
}

impl Found {
    async fn of(plan: &Plan) -> Result<Self> {
        Ok(match &plan.fleet {
            Some(fleet) => {
                let hub = Hub::connect(plan, fleet).await?;
                // Nothing is asked of it, so neither a template nor a cluster counts.
                let run = RunId::new(run::now());
                let engine = ArgoCd::new(hub, plan, &run, None, BTreeMap::new());
                Self::Fleet(Box::new(fleet::of(plan, fleet, &engine).await?))
            }
            None => Self::Release(Box::new(status::of(plan).await?)),
        })
    }

    const fn exit(&self) -> Exit {
        match self {
            Self::Release(status) => status.health.exit(),
            Self::Fleet(status) => status.health.exit(),
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Release(status) => status::as_json(status).to_string(),
            Self::Fleet(status) => fleet::as_json(status).to_string(),
        }
    }

    fn screen(&self) -> Vec<String> {
        match self {
            Self::Release(status) => status::screen(status, run::now()),
            Self::Fleet(status) => fleet::screen(status),
        }
    }

    fn line(&self) -> Line {
        match self {
            Self::Release(status) => Line::from(&**status),
            Self::Fleet(status) => status.line(),
        }
    }
}

async fn look(args: &StatusArgs, plans: &[Plan]) -> Result<(Vec<String>, Exit)> {
    if args.app.is_some() {
        let Some(plan) = plans.first() else {
            return Err(Error::new(Kind::Internal, "the app has no plan"));
        };
        let found = Found::of(plan).await?;
        let lines = if args.json {
            vec![found.json()]
        } else {
            found.screen()
        };
        return Ok((lines, found.exit()));
    }
    if plans.is_empty() {
        return Ok((
            vec!["no app is listed in deploy.toml, and none was deployed yet".to_owned()],
            Exit::Deployed,
        ));
    }
    let mut all: Vec<(String, Result<Found, String>)> = Vec::new();
    let mut worst = Exit::Deployed;
    for plan in plans {
        let app = plan.request.app.to_string();
        match Found::of(plan).await {
            Ok(found) => {
                worst = worse(worst, found.exit());
                all.push((app, Ok(found)));
            }
            // Of an app that is listed and was never deployed nothing is wrong.
            Err(error) if error.kind() == Kind::Request => {
                all.push((app, Err("never deployed here".to_owned())));
            }
            Err(error) => return Err(error),
        }
    }
    let lines = if args.json {
        let known = all.iter().filter_map(|(_, found)| found.as_ref().ok());
        known.map(Found::json).collect()
    } else {
        let lines = all.into_iter();
        let lines = lines.map(|(app, found)| (app, found.map(|found| found.line())));
        status::table(&lines.collect::<Vec<_>>())
    };
    Ok((lines, worst))
}

/// The one of two ends that needs more: 8, then 7.
fn worse(one: Exit, other: Exit) -> Exit {
    if other.code() > one.code() {
        other
    } else {
        one
    }
}
