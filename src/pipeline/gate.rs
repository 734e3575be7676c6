//! Whether signals are taken now: the node's windows, and freezes.
//!
//! Asked before the wait for the lock, and once more under it: whoever froze the
//! app meanwhile is heard, and who held the lock then finishes.

use super::context::Run;
use crate::error::{Error, Kind, Result};
use crate::plan::{CallerPolicy, RunnerKind, Window};
use crate::run::{self, Timestamp, Who, Workflow};
use crate::state::freeze;
use crate::token::{self, TokenPlace};

/// Refuses ([`Kind::Policy`]) outside of the windows and under a freeze;
/// [`Kind::Node`] where a freeze cannot be read. A dry run only tells it.
pub(super) fn signal(run: &Run<'_>) -> Result<()> {
    refuse_or_tell(run, windows(&run.plan.windows, run::now()))?;
    frozen(run)
}

/// Refuses ([`Kind::Policy`]) a signal that no caller of the node's proves to be its
/// own; where none is named, everybody's is taken. It is asked once, on arrival: the
/// wait for the lock may outlast a token.
pub(super) async fn caller(run: &mut Run<'_>) -> Result<()> {
    let Some(policy) = &run.plan.callers else {
        return Ok(());
    };
    let place = TokenPlace {
        state: &run.plan.state,
        environment: &run.plan.environment,
        spends: !run.plan.dry_run,
    };
    if let Err(error) = ask(run, policy, place).await {
        return refuse_or_tell(run, Err(error));
    }
    let Some(token) = run.sender.token.clone() else {
        if run.sender.is_root_by_hand {
            run.events
                .note("callers of deploy.toml wants a token; root by hand needs none");
            return Ok(());
        }
        let refused = Error::new(
            Kind::Policy,
            "the signal came without a token, and this node takes only those that its callers have signed",
        )
        .hint("sign it in a job of its own on a hosted runner, and hand the token over as DEPLOY_TOKEN: docs/security.md");
        let refused = if takes_own(policy) {
            refused.hint("or grant this job `id-token: write`, since callers takes a token of its own runner")
        } else {
            refused
        };
        return refuse_or_tell(run, Err(refused));
    };
    let proving = token::prove(&token, &run.plan.request, policy, place, run::now());
    match run.unless_cancelled(proving).await {
        Ok(proven) => {
            run.events.note(proven.line());
            run.show_logs = proven.is_private;
            run.facts.caller = Some(proven);
            Ok(())
        }
        Err(error) => refuse_or_tell(run, Err(error)),
    }
}

/// Asks GitHub itself for the token, where a caller may sign on its own runner and
/// none came along.
async fn ask(run: &mut Run<'_>, policy: &CallerPolicy, place: TokenPlace<'_>) -> Result<()> {
    let (None, Some(asking)) = (&run.sender.token, &run.sender.asks) else {
        return Ok(());
    };
    if !takes_own(policy) {
        return Ok(());
    }
    let asked = token::ask(asking, &run.plan.request, place);
    let token = run.unless_cancelled(asked).await?;
    run.events.note("GitHub was asked for the signal's token");
    run.sender.token = Some(token);
    Ok(())
}

/// Whether a caller may sign on its own runner.
fn takes_own(policy: &CallerPolicy) -> bool {
    let mut callers = policy.callers.iter();
    callers.any(|caller| caller.runner == RunnerKind::SelfHosted)
}

/// Who asks, as far as it is proven: what is proven counts before what is claimed.
fn who(run: &Run<'_>) -> Who {
    let Some(proven) = &run.facts.caller else {
        return run.who.clone();
    };
    Who {
        workflow: Some(Workflow {
            actor: Some(proven.actor.clone()),
            event: Some(proven.event.clone()),
            ..run.who.workflow.clone().unwrap_or_default()
        }),
        ..run.who.clone()
    }
}

/// Refuses under a freeze, once the lock is held.
pub(super) fn frozen(run: &Run<'_>) -> Result<()> {
    let who = who(run);
    let app = &run.plan.request.app;
    let freezes = match freeze::of(&run.plan.freezes, app, run::now()) {
        Ok(freezes) => freezes,
        Err(error) => return refuse_or_tell(run, Err(error)),
    };
    for freeze in freezes {
        if freeze.lets_through(&who) {
            run.events
                .note(format!("{}; this caller is let through", freeze.line()));
            continue;
        }
        let of = freeze
            .app
            .as_ref()
            .map_or_else(String::new, |app| format!(" {app}"));
        let refused = Error::new(Kind::Policy, freeze.line())
            .hint(format!("wait, or ask its operators: deploy unfreeze{of}"));
        refuse_or_tell(run, Err(refused))?;
    }
    Ok(())
}

/// Tells of the freezes that a rollback by hand goes through.
pub(super) fn tell(run: &Run<'_>) -> Result<()> {
    for freeze in freeze::of(&run.plan.freezes, &run.plan.request.app, run::now())? {
        run.events.note(format!(
            "{}; a rollback by hand goes through",
            freeze.line()
        ));
    }
    Ok(())
}

fn refuse_or_tell(run: &Run<'_>, verdict: Result<()>) -> Result<()> {
    match verdict {
        Err(error) if run.plan.dry_run => {
            run.events
                .warn(format!("the signal itself would be refused: {error}"));
            Ok(())
        }
        verdict => verdict,
    }
}

fn windows(windows: &[Window], now: Timestamp) -> Result<()> {
    if windows.is_empty() || windows.iter().any(|window| window.is_open(now)) {
        return Ok(());
    }
    let named: Vec<String> = windows.iter().map(ToString::to_string).collect();
    let message = format!("this node takes signals only {}", named.join(", "));
    let opens = windows.iter().filter_map(|window| window.opens(now)).min();
    let error = Error::new(Kind::Policy, message);
    Err(match opens {
        Some(at) => error.hint(format!(
            "send it again then, next from {}",
            at.strftime("%Y-%m-%d %H:%M %Z")
        )),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::windows;
    use crate::error::Kind;

    #[test]
    fn a_signal_outside_of_the_windows_is_refused_with_the_next() {
        let open = ["Mon-Fri 08:00-18:00 Europe/Berlin", "Sat 10:00-12:00 UTC"];
        let open = open.map(|window| window.parse().unwrap());
        let at = |time: &str| windows(&open, time.parse().unwrap());
        assert!(windows(&[], "2026-11-28T13:00:00Z".parse().unwrap()).is_ok());
        assert!(at("2026-11-28T11:00:00Z").is_ok());
        let error = at("2026-11-28T13:00:00Z").unwrap_err();
        assert_eq!(error.kind(), Kind::Policy);
        assert_eq!(
            error.to_string(),
            "this node takes signals only Mon-Fri 08:00-18:00 Europe/Berlin, Sat 10:00-12:00 UTC"
        );
        assert_eq!(
            error.hints(),
            ["send it again then, next from 2026-11-30 08:00 CET"]
        );
    }
}
