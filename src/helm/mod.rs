//! Helm: where it is, how it is called, and what its end means.
//!
//! [`Helm`] is what the pipeline uses. It must never decide what a failed
//! rollout means for the release: it says how helm ended; what the release then
//! is, its records say.

pub mod command;
pub mod compat;
pub mod failure;
mod foreign;
pub mod locate;
mod missing_namespace;
mod pattern;
pub mod pull;
pub mod render;

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

pub use command::{ReleaseTarget, RenderRequest, Rollback, Upgrade};
pub use compat::{HelmMajor, Wait, kubernetes};
pub use failure::{Failure, FailureKind};
pub use foreign::ForeignRender;
pub use pull::PulledChart;
pub use render::RenderMode;

use crate::error::Result;
use crate::manifest::Object;
use crate::plan::Plan;
use crate::process::Heartbeat;
use crate::process::cancel::Cancel;
use crate::process::runner::{Invocation, Runner, StopReason};
use crate::registry::artifacts::ArtifactReader;
use crate::state::helm_version;
use failure::HelmOperation;

/// How an upgrade or rollback ended, by helm's exit.
#[derive(Debug)]
pub enum HelmOutcome {
    /// Helm succeeded.
    Succeeded,
    /// Helm failed by itself.
    Failed(Failure),
    /// We stopped it. Where it had to be killed, or a rollback was stopped, the
    /// last record is pending.
    Stopped {
        /// Why.
        by: StopReason,
        /// Whether it had to be killed.
        killed: bool,
    },
}

impl HelmOutcome {
    /// With the objects of the render named where helm names too little.
    #[must_use]
    pub fn naming(self, rendered: &[Object]) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(failure.naming(rendered)),
            other => other,
        }
    }
}

/// The node's helm, ready to work on the plan's release.
#[derive(Debug)]
pub struct Helm {
    runner: Runner,
    target: ReleaseTarget,
    version: semver::Version,
    major: HelmMajor,
    cancel: Cancel,
}

/// Where the plan's helm is and which version it is, without anything to pull.
/// Errors are [`crate::Kind::Node`].
pub async fn found(plan: &Plan, cancel: &Cancel) -> Result<(std::path::PathBuf, semver::Version)> {
    let runner = runner(plan, None)?;
    let (version, _) = known(&runner, cancel).await?;
    Ok((runner.helm().to_owned(), version))
}

fn runner(plan: &Plan, lock: Option<BorrowedFd<'_>>) -> Result<Runner> {
    Runner::new(locate::locate(plan)?, &plan.environment, lock)
}

impl Helm {
    /// Finds helm, and pulls the plan's chart while it is asked for its version.
    /// Every helm that is run holds `lock` open for as long as it lives.
    ///
    /// Errors of helm itself come first and are [`crate::Kind::Node`]: no helm,
    /// none that is supported. Those of the chart: [`crate::Kind::Registry`]
    /// where it is not there or access is refused, [`crate::Kind::Node`] where this
    /// node is the reason.
    pub async fn with_chart(
        plan: &Plan,
        reader: Option<&ArtifactReader>,
        lock: Option<BorrowedFd<'_>>,
        cancel: Cancel,
        deadline: Instant,
    ) -> Result<(Self, PulledChart)> {
        let runner = runner(plan, lock)?;
        let (chart, version) = (&plan.request.chart, &plan.request.version);
        let pull =
            async { Ok(pull::chart(&runner, reader, chart, version, &cancel, deadline).await) };
        let known = remembered(plan, &runner, &cancel);
        let (known, pulled) = tokio::try_join!(known, pull)?;
        let pulled = pulled?;
        Ok((Self::of(runner, known, plan, cancel), pulled))
    }

    fn of(
        runner: Runner,
        (version, major): (semver::Version, HelmMajor),
        plan: &Plan,
        cancel: Cancel,
    ) -> Self {
        let target = ReleaseTarget {
            release: plan.release.clone(),
            context: plan.kube_context.clone(),
            kubeconfig: plan.kubeconfig.as_deref().and_then(only),
        };
        Self {
            runner,
            target,
            version,
            major,
            cancel,
        }
    }

    /// The same without a chart, for what needs none: the registry is not asked.
    pub async fn without_chart(
        plan: &Plan,
        lock: Option<BorrowedFd<'_>>,
        cancel: Cancel,
    ) -> Result<Self> {
        let runner = runner(plan, lock)?;
        let known = remembered(plan, &runner, &cancel).await?;
        Ok(Self::of(runner, known, plan, cancel))
    }

    /// What it calls itself where the API server asks who writes a field: the name
    /// of its binary (`getManagedFieldsManager` in `pkg/kube/client.go`).
    pub fn field_manager(&self) -> String {
        let name = self.runner.helm().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The version of helm.
    pub const fn version(&self) -> &semver::Version {
        &self.version
    }

    /// Whether a rollback can be described as an upgrade can.
    pub fn describes_rollback(&self) -> bool {
        compat::describes_rollback(&self.version)
    }

    /// Whether helm itself waits until the kinds of `crds/` are served.
    pub fn waits_for_crds(&self) -> bool {
        compat::waits_for_crds(&self.version)
    }

    /// Its major version, which decides its flags.
    pub const fn major(&self) -> HelmMajor {
        self.major
    }

    /// A directory of mode 0700 that lives as long as this: for the overrides
    /// file.
    pub fn private(&self) -> &std::path::Path {
        self.runner.private()
    }

    /// The process of each helm that begins from now on.
    pub fn at_work(&self) -> watch::Receiver<Option<u32>> {
        self.runner.at_work()
    }

    /// Bounds every upgrade and rollback from now on.
    pub fn bound(&self, heartbeat: Arc<Heartbeat>) {
        self.runner.bound(heartbeat);
    }

    /// Renders the chart to one stream of YAML documents, hooks included.
    pub async fn render(
        &self,
        way: RenderMode,
        render: &RenderRequest<'_>,
        deadline: Instant,
    ) -> Result<String> {
        render::render(
            &self.runner,
            &self.target,
            way,
            render,
            &self.cancel,
            deadline,
        )
        .await
    }

    /// The same as another engine renders it.
    pub async fn render_foreign(
        &self,
        render: &ForeignRender<'_>,
        deadline: Instant,
    ) -> Result<String> {
        render::render_foreign(&self.runner, render, &self.cancel, deadline).await
    }

    /// Installs or upgrades the release. `stop` ends it early, as the deadline
    /// and a cancel do. An error means that helm was never begun.
    ///
    /// Poll it to its end: dropping it leaves helm running.
    pub async fn upgrade(
        &self,
        upgrade: &Upgrade<'_>,
        deadline: Instant,
        stop: impl Future<Output = ()>,
    ) -> Result<HelmOutcome> {
        let call = command::upgrade(&self.target, self.major, upgrade);
        self.apply(HelmOperation::Upgrade, &call, deadline, stop)
            .await
    }

    /// Goes back to a revision. As [`Self::upgrade`], but helm does not settle
    /// the release when it is stopped: the record stays `pending-rollback`.
    pub async fn rollback(
        &self,
        rollback: &Rollback<'_>,
        deadline: Instant,
        stop: impl Future<Output = ()>,
    ) -> Result<HelmOutcome> {
        let described = rollback.description.filter(|_| self.describes_rollback());
        let rollback = Rollback {
            description: described,
            ..*rollback
        };
        let call = command::rollback(&self.target, self.major, &rollback);
        self.apply(HelmOperation::Rollback, &call, deadline, stop)
            .await
    }

    async fn apply(
        &self,
        doing: HelmOperation,
        call: &Invocation,
        deadline: Instant,
        stop: impl Future<Output = ()>,
    ) -> Result<HelmOutcome> {
        let call = Invocation {
            writes: true,
            ..call.clone()
        };
        let ran = self.runner.run(&call, &self.cancel, deadline, stop).await?;
        if ran.status.success() {
            return Ok(HelmOutcome::Succeeded);
        }
        Ok(match ran.stopped {
            Some(by) => HelmOutcome::Stopped {
                by,
                killed: ran.killed,
            },
            None => HelmOutcome::Failed(failure::of(doing, &ran)),
        })
    }
}

/// The version of the helm that is run, as it was told before by this very file, else
/// as it is told now.
async fn remembered(
    plan: &Plan,
    runner: &Runner,
    cancel: &Cancel,
) -> Result<(semver::Version, HelmMajor)> {
    let program = helm_version::Program::of(runner.helm());
    if let Some(program) = &program
        && let Some(version) = helm_version::known(&plan.state, program)
        && let Ok(major) = HelmMajor::of(&version)
    {
        return Ok((version, major));
    }
    let (version, major) = known(runner, cancel).await?;
    if let Some(program) = program.filter(|_| !plan.dry_run) {
        // Only time is lost where it cannot be kept.
        let _ = helm_version::keep(&plan.state, program, &version);
    }
    Ok((version, major))
}

/// The version that helm tells.
async fn known(runner: &Runner, cancel: &Cancel) -> Result<(semver::Version, HelmMajor)> {
    let version = locate::version(runner, cancel).await?;
    let major = HelmMajor::of(&version)
        .map_err(|error| error.detail(format!("found at {}", runner.helm().display())))?;
    tracing::debug!(helm = %runner.helm().display(), %version, ?major, "helm was found");
    Ok((version, major))
}

/// The file, where a list as in `KUBECONFIG` has but one: helm takes no list.
fn only(list: &OsStr) -> Option<PathBuf> {
    let mut files = std::env::split_paths(list).filter(|file| !file.as_os_str().is_empty());
    let first = files.next()?;
    files.next().is_none().then_some(first)
}

#[cfg(test)]
pub(crate) mod tests;
