//! Whose release it is: the application that serves there is not replaced by
//! another one by mistake.
//!
//! Pure. Helm takes any chart for an upgrade of any release, and removes what
//! the new one does not have: the other application's claims with their data
//! among it.

use super::judgement;
use super::record::Record;
use crate::error::{Error, Kind, Result};
use crate::signal::App;
use crate::text;

/// Refuses (`Kind::Policy`) a chart of another name than that of the revision
/// that serves, or that helm applied last where none was judged. `is_pinned`
/// says that deploy.toml names the chart, which is how an operator wants it.
pub fn check(records: &[Record], chart: &str, is_pinned: bool, app: &App) -> Result<()> {
    let serving = judgement::last_good(records).or_else(|| judgement::last_not_judged(records));
    let Some(serving) = serving else {
        return Ok(());
    };
    // A record of an old helm may name none.
    if is_pinned || serving.chart.is_empty() || serving.chart == chart {
        return Ok(());
    }
    Err(Error::new(
        Kind::Policy,
        format!(
            "the release is of the chart {} (revision {}), but the signal asks for the chart {}: \
             an upgrade would remove what that one has not, claims with their data included",
            text::quoted(&serving.chart),
            serving.revision,
            text::quoted(chart),
        ),
    )
    .hint(format!(
        "if {app} is another application, give it a release of its own: release or namespace in \
         [apps.{app}] of deploy.toml, or another --app"
    ))
    .hint(format!(
        "if its chart has a new name, an operator pins that: [apps.{app}] chart = \"oci://…\""
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::check;
    use crate::error::Kind;
    use crate::release::judgement;
    use crate::release::tests::records;

    /// Case D3: another application's chart is refused, a pinned one is not.
    #[test]
    fn another_chart_is_refused() {
        let run = "20261124T175106Z-1a2b3c".parse().unwrap();
        let failed = judgement::failed(&run, None, "x");
        let not_judged = judgement::not_judged(&run);
        for (of, is_allowed, why) in [
            (vec![], true, "a first install"),
            (vec![("shop", "deployed", "")], true, "the same chart"),
            (vec![("web", "deployed", "")], false, "another one serves"),
            (
                vec![("web", "superseded", ""), ("shop", "failed", "")],
                false,
                "the other one's failure changes nothing",
            ),
            (
                vec![
                    ("web", "superseded", ""),
                    ("shop", "deployed", failed.as_str()),
                ],
                false,
                "nor does a failure that helm calls deployed",
            ),
            (
                vec![("web", "deployed", not_judged.as_str())],
                false,
                "applied, and nobody judged it",
            ),
            (
                vec![("web", "uninstalled", ""), ("shop", "failed", "")],
                true,
                "a former life",
            ),
            (
                vec![("web", "superseded", ""), ("shop", "deployed", "")],
                true,
                "changed on purpose",
            ),
            (vec![("", "deployed", "")], true, "not known"),
        ] {
            let app = "shop".parse().unwrap();
            let records = records(&of);
            let seen = check(&records, "shop", false, &app);
            assert_eq!(seen.is_ok(), is_allowed, "{why}");
            assert!(check(&records, "shop", true, &app).is_ok(), "{why}");
            if let Err(error) = seen {
                assert_eq!(error.kind(), Kind::Policy);
                assert!(error.to_string().contains("the chart 'web'"), "{error}");
                assert_eq!(error.hints().len(), 2);
            }
        }
    }
}
