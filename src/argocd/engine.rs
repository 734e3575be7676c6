//! Argo CD as an engine: asks an Application for what a signal says, and ends what it
//! asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::PatchParams;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::application::Application;
use super::beside::{Beside, Look, Rendered};
use super::hub::{self, Found, Hub, Refused};
use super::operation::Operation;
use super::patch::{self, MANAGER, NOTES, Place, TEMPLATE};
use super::state::{base, cluster, ending, held, is_others, is_own, locked, missing, note, usable};
use super::verdict::Asked;
use super::{follow, owned, resources};
use crate::engine::{Ended, Engine, Observed, Wanted};
use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::plan::fleet::TargetName;
use crate::run::RunId;

/// How often a document is made anew where the Application changes meanwhile.
const TRIES: usize = 20;

/// How soon.
const AGAIN: Duration = Duration::from_millis(150);

/// The most that somebody else's operation is waited for before that is told.
const OTHERS: Duration = Duration::from_secs(30);

/// How long an operation of an earlier run's may take to end.
const ENDS: Duration = Duration::from_secs(30);

/// Argo CD, working for one run.
pub struct ArgoCd {
    pub(super) hub: Hub,
    run: RunId,
    template: Option<Value>,
    looks: BTreeMap<TargetName, Look>,
    budget: Duration,
    /// How long somebody else's operation is waited for.
    patience: Duration,
    rendered: StdMutex<BTreeMap<TargetName, (Wanted, Arc<Rendered>)>>,
    count: AtomicU32,
}

impl ArgoCd {
    /// The Argo CD of this hub. `looks` are the clusters that the node can look into,
    /// `template` is the manifest that a missing Application is made of.
    pub fn new(
        hub: Hub,
        plan: &Plan,
        run: &RunId,
        template: Option<Value>,
        looks: BTreeMap<TargetName, Look>,
    ) -> Self {
        Self {
            hub,
            run: run.clone(),
            template,
            looks,
            budget: plan.budget,
            patience: plan.lock_timeout.min(OTHERS),
            rendered: StdMutex::default(),
            count: AtomicU32::new(0),
        }
    }

    /// Remembers what is rendered for a target, so that its pods can be watched.
    pub fn expect(&self, target: &TargetName, wanted: &Wanted, rendered: Rendered) {
        let known = (wanted.clone(), Arc::new(rendered));
        let mut all = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(target.clone(), known);
    }

    fn rendered(&self, target: &TargetName, wanted: &Wanted) -> Option<Arc<Rendered>> {
        let all = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, rendered) = all.get(target)?;
        known.is_same(wanted).then(|| rendered.clone())
    }

    /// The cluster of a target, where the node can look into it.
    pub fn look(&self, target: &TargetName) -> Option<&Look> {
        self.looks.get(target)
    }

    /// The Application without what `deploy` owns of its values: what the next document
    /// is laid over. Where it is not there, that of the template.
    pub async fn base(&self, target: &TargetName) -> Result<Application> {
        match (self.hub.get(target).await?, &self.template) {
            (Some(found), _) => base(&found),
            (None, Some(template)) => {
                let mut template = template.clone();
                template["metadata"]["name"] = json!(target.as_str());
                Application::read(&template).map_err(|error| {
                    Error::new(Kind::Node, "the template is no Application").with_source(error)
                })
            }
            (None, None) => Err(missing(self.hub.namespace())),
        }
    }

    /// Tries whether a target would take this, without changing it.
    pub async fn check(&self, target: &TargetName, wanted: &Wanted) -> Result<()> {
        let base = self.base(target).await?;
        patch::check(&base, &wanted.values)?;
        let namespace = self.hub.namespace();
        let (document, manager) = match (self.hub.get(target).await?, &self.template) {
            (None, Some(template)) => {
                let made = patch::of_template(template.clone(), target, namespace, wanted)?;
                (made, TEMPLATE)
            }
            _ => (
                patch::document(target, namespace, wanted, Place::of(&base))?,
                MANAGER,
            ),
        };
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::apply(manager)
        };
        match self.hub.apply(target, &document, &params).await {
            Ok(_) | Err(Refused::Moved) => Ok(()),
            Err(Refused::Owned(owned)) if is_own(&owned) => Ok(()),
            Err(Refused::Owned(owned)) => Err(hub::told(&owned, target, namespace)),
            Err(Refused::Failed(error)) => Err(error),
        }
    }

    /// The Application at rest: somebody else's operation is waited for a while, an
    /// earlier one of `deploy`'s is left.
    async fn at_rest(&self, target: &TargetName) -> Result<Option<Found>> {
        let first = self.hub.get(target).await?;
        if !first
            .as_ref()
            .is_some_and(|found| is_others(&found.application))
        {
            return Ok(first);
        }
        let waited = timeout(
            self.patience,
            self.until(target, |found| {
                !found.is_some_and(|found| is_others(&found.application))
            }),
        );
        match waited.await {
            Ok(found) => found,
            Err(_) => Err(first.map_or_else(
                || missing(self.hub.namespace()),
                |found| locked(&found.application),
            )),
        }
    }

    /// Waits until the Application is as `fits` wants it.
    pub(super) async fn until(
        &self,
        target: &TargetName,
        fits: impl Fn(Option<&Found>) -> bool,
    ) -> Result<Option<Found>> {
        let mut states = std::pin::pin!(self.hub.watch(target));
        loop {
            match states.next().await {
                Some(Ok(found)) if fits(found.as_ref()) => return Ok(found),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "the hub is asked again");
                    sleep(Duration::from_secs(1)).await;
                }
                None => return self.hub.get(target).await,
            }
        }
    }

    /// Ends the operation that is noted so, where it is still at work.
    async fn end(&self, target: &TargetName, is_meant: impl Fn(&str) -> bool) -> Result<()> {
        for _ in 0..TRIES {
            let Some(found) = self.hub.get(target).await? else {
                return Ok(());
            };
            let Some(document) = ending(&found.application, &is_meant) else {
                return Ok(());
            };
            match self.hub.merge(target, &document).await {
                Ok(_) => break,
                Err(Refused::Moved) => sleep(AGAIN).await,
                Err(refused) => return Err(refused.into()),
            }
        }
        let ended = self.until(target, |found| {
            let note = found.and_then(|found| note(&found.application));
            !note.is_some_and(&is_meant)
        });
        match timeout(ENDS, ended).await {
            Ok(ended) => ended.map(drop),
            Err(_) => Err(
                Error::new(Kind::Node, "Argo CD did not end the sync that was at work")
                    .hint("see that its application controller runs"),
            ),
        }
    }

    async fn make(
        &self,
        target: &TargetName,
        template: &Value,
        wanted: &Wanted,
        id: &str,
    ) -> Result<Found, Refused> {
        let namespace = self.hub.namespace();
        let made = patch::of_template(template.clone(), target, namespace, wanted)
            .map_err(Refused::Failed)?;
        let base = Application::read(&made).unwrap_or_default();
        let document = patch::with_operation(made, &base, &wanted.version.to_string(), id);
        let params = PatchParams::apply(TEMPLATE);
        let made = self.hub.apply(target, &document, &params).await?;
        // What the signal says is the signal's from the first on.
        let place = Place::of(&base);
        let own = patch::document(target, namespace, wanted, place).map_err(Refused::Failed)?;
        self.hub
            .apply(target, &own, &PatchParams::apply(MANAGER))
            .await?;
        Ok(made)
    }

    /// Asks once; `Moved` where it has to be asked again.
    async fn ask(
        &self,
        target: &TargetName,
        found: Option<&Found>,
        wanted: &Wanted,
        id: &str,
    ) -> Result<Found, Refused> {
        let namespace = self.hub.namespace();
        let found = match (found, &self.template) {
            (Some(found), _) => found,
            (None, Some(template)) => return self.make(target, template, wanted, id).await,
            (None, None) => return Err(Refused::Failed(missing(namespace))),
        };
        if found.application.waits_for_refresh() {
            // Its annotation is somebody else's, for a moment.
            return Err(Refused::Moved);
        }
        let base = base(found).map_err(Refused::Failed)?;
        patch::check(&base, &wanted.values).map_err(Refused::Failed)?;
        let document = patch::document(target, namespace, wanted, Place::of(&base))
            .map_err(Refused::Failed)?;
        let version = wanted.version.to_string();
        let document = patch::with_operation(document, &found.application, &version, id);
        let document = patch::only_on(document, &found.application);
        let params = PatchParams::apply(MANAGER);
        match self.hub.apply(target, &document, &params).await {
            // The template's fields are `deploy`'s own.
            Err(Refused::Owned(owned)) if is_own(&owned) => {
                self.hub.apply(target, &document, &params.force()).await
            }
            answer => answer,
        }
    }

    /// What stands for what was asked, where that was `found` before.
    fn asked(
        &self,
        found: Option<&Found>,
        made: &Found,
        wanted: &Wanted,
        id: &str,
        target: &TargetName,
    ) -> Asked {
        let before = found.map(|found| &found.application);
        let state = before.and_then(|before| before.status.operation_state.as_ref());
        let images = self.rendered(target, wanted);
        let was_at_rest = before.is_some_and(|before| {
            state.is_some_and(|state| state.phase == "Succeeded")
                && before.spec.source == before.status.sync.compared_to.source
        });
        Asked {
            id: id.to_owned(),
            uid: made.application.metadata.uid.clone(),
            earlier: state.map(|state| state.started_at.clone()),
            chart: wanted.chart.name().to_owned(),
            version: wanted.version.to_string(),
            images: images
                .map(|known| known.images.iter().cloned().collect())
                .unwrap_or_default(),
            drifted: before
                .filter(|_| was_at_rest)
                .map(resources::drifted)
                .unwrap_or_default(),
        }
    }
}

impl Engine for ArgoCd {
    type Operation = Operation;

    async fn observe(&self, target: &TargetName) -> Result<Observed> {
        let Some(found) = self.at_rest(target).await? else {
            let Some(template) = &self.template else {
                return Err(missing(self.hub.namespace()));
            };
            let template = Application::read(template).unwrap_or_default();
            return Ok(Observed {
                held: None,
                good: None,
                cluster: cluster(&template),
                warnings: vec![
                    "the Application is not there: it is made of the template".to_owned(),
                ],
            });
        };
        let application = &found.application;
        usable(application)?;
        let mut warnings = Vec::from_iter(resources::was_unreachable(application));
        if application.is_busy() {
            let busy = "a sync of an earlier run is still at work: it is ended first";
            warnings.push(busy.to_owned());
        }
        let held = held(&found);
        let good = patch::noted(application).or_else(|| {
            // Nobody judged it here, but Argo CD calls it good.
            held.clone().filter(|_| owned::is_good(application))
        });
        Ok(Observed {
            good,
            held,
            cluster: cluster(application),
            warnings,
        })
    }

    async fn apply(&self, target: &TargetName, wanted: &Wanted) -> Result<Operation> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}/{number}", self.run);
        // Before anything is asked: what is there now is what all later is compared with.
        let beside = match (self.looks.get(target), self.rendered(target, wanted)) {
            (Some(look), Some(rendered)) => Some(Beside::start(look, &rendered, self.budget).await),
            _ => None,
        };
        for _ in 0..TRIES {
            let found = self.at_rest(target).await?;
            if let Some(found) = &found {
                usable(&found.application)?;
                if found.application.is_busy() {
                    // An earlier run's, which is dead: this one holds the Lease.
                    self.end(target, |_| true).await?;
                    continue;
                }
            }
            match self.ask(target, found.as_ref(), wanted, &id).await {
                Ok(made) => {
                    return Ok(Operation {
                        asked: self.asked(found.as_ref(), &made, wanted, &id, target),
                        beside: Mutex::new(beside),
                        compared: AtomicBool::new(false),
                    });
                }
                Err(Refused::Moved) => sleep(AGAIN).await,
                Err(Refused::Owned(owned)) => {
                    return Err(hub::told(&owned, target, self.hub.namespace()));
                }
                Err(Refused::Failed(error)) => return Err(error),
            }
        }
        Err(Refused::Moved.into())
    }

    async fn watch(
        &self,
        target: &TargetName,
        operation: &Operation,
        deadline: Instant,
        tell: &dyn Fn(String),
    ) -> Ended {
        follow::until_good(&self.hub, target, operation, deadline, tell).await
    }

    async fn stays(&self, target: &TargetName, operation: &Operation, until: Instant) -> Ended {
        follow::stays(&self.hub, target, operation, until).await
    }

    async fn stop(&self, target: &TargetName, operation: &Operation) -> Result<()> {
        self.end(target, |note| note == operation.asked.id).await
    }

    async fn note_good(&self, target: &TargetName, wanted: &Wanted) -> Result<()> {
        let document = patch::note(target, self.hub.namespace(), wanted, self.run.as_str());
        let params = PatchParams::apply(NOTES);
        self.hub.apply(target, &document, &params).await?;
        Ok(())
    }
}
