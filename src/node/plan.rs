//! Joins a valid request with the node's settings into a [`Plan`].
//!
//! The decisions are pure; what they need to know of files ([`NodeFiles`]) is
//! looked up before.

mod budget;
mod variables;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::config::{Application, Forwarding, Namespace, ReleaseName, Settings};
use super::events::EVENTS;
use super::limits::{LOCK_TIMEOUT, default_stale_after, least_stale_after};
use super::machine::Node;
use super::{event_policy, file_permissions, locate, policy, verify};
use crate::error::{Error, Kind, Result};
use crate::host::{self, Environment};
use crate::plan::caller::TOKEN_AGE;
use crate::plan::forward::{Forward, ForwardTarget, Token};
use crate::plan::{CallerPolicy, ImageRules, Plan, ReleaseId, Retention, Verify};
use crate::run::Workflow;
use crate::signal::Request;
use crate::units;
use crate::{state, text};

const RETENTION: Retention = Retention {
    keep: Duration::from_secs(30 * 86_400),
    max: 200_000_000,
};

/// Where k3s leaves its kubeconfig (docs.k3s.io/cluster-access).
const K3S: &str = "/etc/rancher/k3s/k3s.yaml";

/// What a deploy will do, and what to warn of. The event policy comes first,
/// then policy, then what the node must have ready: values files that only
/// root and the caller may write, a cluster, a state directory.
///
/// Nothing is written. `Kind::Policy` where the node refuses, `Kind::Node`
/// where it is not ready.
pub fn plan(
    request: Request,
    node: &Node,
    environment: &Environment,
) -> Result<(Plan, Vec<String>)> {
    let settings = EffectiveSettings::of(node, &request);
    if environment.inside_actions() {
        event_policy::refuse_pull_requests(environment)?;
        let payload = event_policy::read_payload(environment);
        let payload = payload.as_deref().map_err(String::as_str);
        event_policy::check(environment, settings.pick(|s| s.events.as_ref()), payload)?;
    }
    policy::check(&request, &node.config, node.file.as_deref())?;
    ready(request, node, environment, &settings)
}

/// The same for a signal that came to `deploy receive` with what its sender says of
/// its workflow.
pub fn plan_received(
    request: Request,
    node: &Node,
    environment: &Environment,
    workflow: Option<&Workflow>,
) -> Result<(Plan, Vec<String>)> {
    let settings = EffectiveSettings::of(node, &request);
    if let Some(workflow) = workflow {
        event_policy::check_claim(workflow, settings.pick(|s| s.events.as_ref()))?;
    }
    policy::check(&request, &node.config, node.file.as_deref())?;
    ready(request, node, environment, &settings)
}

/// The same for whoever only looks: nothing is refused, whatever the event and
/// the policy.
pub fn plan_unchecked(
    request: Request,
    node: &Node,
    environment: &Environment,
) -> Result<(Plan, Vec<String>)> {
    let settings = EffectiveSettings::of(node, &request);
    ready(request, node, environment, &settings)
}

fn ready(
    request: Request,
    node: &Node,
    environment: &Environment,
    settings: &EffectiveSettings<'_>,
) -> Result<(Plan, Vec<String>)> {
    let forward = forward(node, settings)?;
    let fleet = settings.app.and_then(|app| app.fleet.as_ref());
    if let Some(template) = fleet.and_then(|fleet| fleet.template.as_ref()) {
        file_permissions::check(template, "the template", node.caller())?;
    }
    let found = NodeFiles {
        verify: verify::of(node, settings.pick(|s| s.verify.as_ref()))?,
        values: match (&forward, fleet) {
            (None, None) => values(node, &request, settings.app)?,
            // They are the controller's, or each Application's own.
            _ => Vec::new(),
        },
        forward,
        home_kubeconfig: node
            .home(environment)
            .map(|home| home.join(".kube/config"))
            .filter(|path| path.exists()),
        k3s_kubeconfig: Path::new(K3S).exists(),
        state: state::directory(environment, node.uid, &node.accounts, &node.cwd)?,
    };
    join(request, node, environment, settings, found)
}

/// The node's settings as they hold for one app.
struct EffectiveSettings<'a> {
    app: Option<&'a Application>,
    defaults: &'a Settings,
}

impl<'a> EffectiveSettings<'a> {
    fn of(node: &'a Node, request: &Request) -> Self {
        Self {
            app: node.config.apps.get(&request.app),
            defaults: &node.config.defaults,
        }
    }

    /// A setting: the app's, else the default.
    fn pick<T>(&self, get: impl Fn(&'a Settings) -> Option<T>) -> Option<T> {
        self.app
            .and_then(|app| get(&app.settings))
            .or_else(|| get(self.defaults))
    }
}

/// What was found on the node.
struct NodeFiles {
    forward: Option<Forward>,
    verify: Option<Verify>,
    values: Vec<PathBuf>,
    home_kubeconfig: Option<PathBuf>,
    k3s_kubeconfig: bool,
    state: state::Directory,
}

/// The values files: those of deploy.toml, which must be there, else
/// `<app>.values.yaml` beside the script, where it is.
fn values(node: &Node, request: &Request, app: Option<&Application>) -> Result<Vec<PathBuf>> {
    let files = if let Some(files) = app.and_then(|app| app.values.clone()) {
        files
    } else {
        let name = format!("{}.values.yaml", request.app);
        match node.script.as_ref().map(|script| script.join(name)) {
            Some(file) if locate::is_there(&file)? => vec![file],
            _ => Vec::new(),
        }
    };
    for file in &files {
        file_permissions::check(file, "the values file", node.caller())?;
    }
    Ok(files)
}

/// The controller that gets the signal, with the token that opens it.
fn forward(node: &Node, settings: &EffectiveSettings<'_>) -> Result<Option<Forward>> {
    if settings.app.is_some_and(|app| app.fleet.is_some()) {
        // The app's own key counts before the default.
        return Ok(None);
    }
    let Some(Forwarding::To(target, file)) = settings.pick(|s| s.forward.clone()) else {
        return Ok(None);
    };
    let token = file.map(|file| {
        let secret = file_permissions::read_secret(&file, "the token file", node.caller())?;
        secret.parse::<Token>().map_err(|expected| {
            let file = text::line(&file.to_string_lossy(), text::LINE).into_owned();
            let message = format!("the token file {file} holds no token, expected {expected}");
            Error::new(Kind::Node, message).hint("write the controller's token into it")
        })
    });
    Ok(Some(Forward {
        target,
        token: token.transpose()?,
    }))
}

fn join(
    request: Request,
    node: &Node,
    environment: &Environment,
    settings: &EffectiveSettings<'_>,
    found: NodeFiles,
) -> Result<(Plan, Vec<String>)> {
    let mut warnings = Vec::new();
    let (budget, on_failure) = budget::of(settings, environment, &mut warnings)?;
    let (mut given, dropped) = variables::given(node, environment, settings);
    warnings.extend(host::dropped_warning(&dropped));
    // A controller of this machine excludes by its own lock, in its own directory.
    if !matches!(&found.forward, Some(to) if matches!(to.target, ForwardTarget::Unix(_))) {
        warnings.extend(found.state.warning.clone());
    }
    if found.forward.is_some() && found.verify.is_some() {
        warnings.push(
            "verify is not applied here: the app is handed to a controller, which has to verify"
                .to_owned(),
        );
    }
    let context = given.remove(OsStr::new("HELM_KUBECONTEXT"));
    let inherited = given.remove(OsStr::new("KUBECONFIG"));
    if found.forward.is_none() {
        variables::refuse_other_cluster(&given)?;
    }
    let kubeconfig = kubeconfig(settings, inherited, &found, environment)?;
    if let Some(files) = &kubeconfig {
        given.insert("KUBECONFIG".into(), files.clone());
    }
    let rollback_budget = settings.pick(|s| s.rollback_timeout).unwrap_or(budget);
    let stale_after = stale_after(settings, budget, rollback_budget)?;
    let app = settings.app;
    let fleet = app.and_then(|app| app.fleet.clone());
    let plan = Plan {
        release: release(settings, &request),
        values: found.values,
        forward: found.forward,
        images: app.map(image_rules).unwrap_or_default(),
        budget,
        platforms: app.map(|app| app.platforms.clone()).unwrap_or_default(),
        chart_is_pinned: app.is_some_and(|app| app.chart.is_some()),
        rollback_budget,
        on_failure,
        lock_timeout: settings.pick(|s| s.lock_timeout).unwrap_or(LOCK_TIMEOUT),
        stale_after,
        helm: settings.pick(|s| s.helm.clone()),
        kubeconfig,
        kube_context: match &fleet {
            Some(fleet) => fleet.hub.context.clone(),
            None => settings
                .pick(|s| s.kube_context.clone())
                .or_else(|| context.map(|name| name.to_string_lossy().into_owned())),
        },
        fleet,
        environment: given,
        windows: settings.pick(|s| s.windows.clone()).unwrap_or_default(),
        freezes: state::freeze::places(&found.state.path),
        state: found.state.path,
        evidence: Retention {
            keep: settings.pick(|s| s.evidence_keep).unwrap_or(RETENTION.keep),
            max: settings.pick(|s| s.evidence_max).unwrap_or(RETENTION.max),
        },
        verify: found.verify,
        callers: callers(settings),
        dry_run: false,
        request,
    };
    Ok((plan, warnings))
}

/// The release: of an app that Argo CD carries out, its name in the hub, so that its
/// lock and its freezes are one app's.
fn release(settings: &EffectiveSettings<'_>, request: &Request) -> ReleaseId {
    let app = settings.app;
    let name = request.app.as_str();
    let namespace = match app.and_then(|app| app.fleet.as_ref()) {
        Some(fleet) => &fleet.namespace,
        None => app
            .and_then(|app| app.namespace.as_ref())
            .map_or(name, Namespace::as_str),
    };
    ReleaseId {
        namespace: namespace.to_owned(),
        name: app
            .and_then(|app| app.release.as_ref())
            .map_or(name, ReleaseName::as_str)
            .to_owned(),
    }
}

/// Whose signals are taken, where the node names anybody.
fn callers(settings: &EffectiveSettings<'_>) -> Option<CallerPolicy> {
    let events = match settings.pick(|s| s.events.as_ref()) {
        Some(named) => named.iter().map(ToString::to_string).collect(),
        None => EVENTS.map(str::to_owned).into(),
    };
    Some(CallerPolicy {
        callers: settings.pick(|s| s.callers.clone())?,
        events,
        token_age: settings.pick(|s| s.token_age).unwrap_or(TOKEN_AGE),
        issuer: settings
            .pick(|s| s.token_issuer.clone())
            .unwrap_or_default(),
    })
}

fn image_rules(app: &Application) -> ImageRules {
    ImageRules {
        layouts: app
            .images
            .iter()
            .filter(|(_, paths)| !paths.is_empty())
            .map(|(key, paths)| (key.clone(), paths.clone()))
            .collect(),
        parts: app.image_parts.clone(),
        absent: app.absent.clone(),
        allowed: app.allow_images.clone(),
    }
}

/// After what time a holder counts as dead. A budget of the old script's is not
/// known when deploy.toml is read.
fn stale_after(
    settings: &EffectiveSettings<'_>,
    budget: Duration,
    rollback_budget: Duration,
) -> Result<Duration> {
    let least = least_stale_after(budget, rollback_budget);
    match settings.pick(|s| s.stale_after) {
        None => Ok(default_stale_after(budget, rollback_budget)),
        Some(written) if written >= least => Ok(written),
        Some(written) => {
            let message = format!(
                "stale_after is {}, but a deploy can take longer: expected at least {}",
                units::show(written),
                units::show(least)
            );
            Err(Error::new(Kind::Node, message)
                .hint("remove stale_after from deploy.toml, or shorten DEPLOY_TIMEOUT"))
        }
    }
}

/// The kubeconfig files; none means in-cluster.
fn kubeconfig(
    settings: &EffectiveSettings<'_>,
    inherited: Option<OsString>,
    found: &NodeFiles,
    environment: &Environment,
) -> Result<Option<OsString>> {
    if found.forward.is_some() {
        // Where it goes is decided by the controller.
        return Ok(None);
    }
    if let Some(fleet) = settings.app.and_then(|app| app.fleet.as_ref()) {
        return Ok(Some(fleet.hub.kubeconfig.clone().into_os_string()));
    }
    let chosen = settings
        .pick(|s| s.kubeconfig.clone())
        .map(PathBuf::into_os_string)
        .or(inherited.filter(|files| !files.is_empty()))
        .or(found.home_kubeconfig.clone().map(PathBuf::into_os_string))
        .or(found.k3s_kubeconfig.then(|| K3S.into()));
    if chosen.is_none() && environment.get("KUBERNETES_SERVICE_HOST").is_none() {
        let message = "no cluster is known: deploy.toml sets no kubeconfig, KUBECONFIG is not set, \
                       there is neither ~/.kube/config nor /etc/rancher/k3s/k3s.yaml, and deploy does not run in a pod of a cluster";
        return Err(Error::new(Kind::Node, message).hint(
            "set kubeconfig in /etc/deploy/deploy.toml: [defaults] kubeconfig = \"/path/to/it\"",
        ));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests;
