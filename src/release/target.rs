//! The revision that a rollback by hand goes back to, or why it cannot.
//!
//! Pure. It decides before anything is touched, and once more under the lock.

use super::judgement;
use super::record::Record;
use crate::error::{Error, Kind, Result};
use crate::plan::ReleaseId;
use crate::text;

/// The record of the revision that is asked for, else of the good one before the
/// present one. `pin` is the name of the chart that deploy.toml pins.
///
/// `Kind::Request` for one that is not known, failed, was never judged, or is the
/// present one; `Kind::Policy` for one of another chart.
pub fn choose<'a>(
    records: &'a [Record],
    asked: Option<u32>,
    release: &ReleaseId,
    pin: Option<&str>,
) -> Result<&'a Record> {
    let life = judgement::life(records);
    let Some(last) = life.last() else {
        let message =
            format!("there is no release {release}: it was never deployed, or is uninstalled");
        return Err(Error::new(Kind::Request, message));
    };
    let serving = judgement::last_good(records);
    // One that failed after it may still be what runs.
    let is_present = |record: &Record| {
        record.revision == last.revision
            && serving.is_some_and(|good| good.revision == last.revision)
    };
    let target = if let Some(revision) = asked {
        let Some(at) = life.iter().position(|record| record.revision == revision) else {
            let message = format!("the release {release} has no revision {revision}");
            return Err(refused(message, life));
        };
        if let Some(why) = judgement::not_good(life, at) {
            return Err(refused(format!("revision {revision} {why}"), life));
        }
        if is_present(&life[at]) {
            return Err(refused(
                format!("revision {revision} is the present one"),
                life,
            ));
        }
        &life[at]
    } else {
        let good = |at: &usize| judgement::not_good(life, *at).is_none() && !is_present(&life[*at]);
        let Some(at) = (0..life.len()).rev().find(good) else {
            let message =
                format!("the release {release} has no good revision before the present one");
            return Err(refused(message, life));
        };
        &life[at]
    };
    of_the_same_chart(target, serving, pin)?;
    Ok(target)
}

fn refused(message: String, life: &[Record]) -> Error {
    let good = (0..life.len()).filter(|at| judgement::not_good(life, *at).is_none());
    let good: Vec<String> = good.map(|at| life[at].revision.to_string()).collect();
    Error::new(Kind::Request, message).hint(match good.as_slice() {
        [] => "no revision counts as good: send a signal".to_owned(),
        good => format!("revisions that count as good: {}", good.join(", ")),
    })
}

fn of_the_same_chart(target: &Record, serving: Option<&Record>, pin: Option<&str>) -> Result<()> {
    let expected = pin.or(serving.map(|serving| serving.chart.as_str()));
    match expected.filter(|chart| !chart.is_empty()) {
        Some(chart) if chart != target.chart => Err(Error::new(
            Kind::Policy,
            format!(
                "revision {} is of the chart {}, expected {}",
                target.revision,
                text::quoted(&target.chart),
                text::quoted(chart)
            ),
        )
        .hint("what the other chart has not would be removed; an operator pins it in deploy.toml where that is meant")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::choose;
    use crate::error::Kind;
    use crate::plan::ReleaseId;
    use crate::release::judgement;
    use crate::release::tests::records;

    #[test]
    fn the_revision_is_chosen_or_the_refusal_says_why() {
        let run = "20261124T175106Z-1a2b3c".parse().unwrap();
        let (judged, open) = (
            judgement::failed(&run, None, "x"),
            judgement::not_judged(&run),
        );
        let life = records(&[
            ("shop", "uninstalled", ""),
            ("shop", "superseded", ""),
            ("other", "superseded", ""),
            ("shop", "failed", &judged),
            ("shop", "superseded", &open),
            ("shop", "superseded", ""),
            ("shop", "deployed", ""),
        ]);
        let release = ReleaseId::new("prod", "shop");
        let choose = |asked, pin| choose(&life, asked, &release, pin).map(|record| record.revision);
        assert_eq!(choose(None, None).unwrap(), 6);
        assert_eq!(choose(Some(2), None).unwrap(), 2);
        assert_eq!(choose(Some(3), Some("other")).unwrap(), 3);
        for (asked, pin, kind, why) in [
            (Some(1), None, Kind::Request, "has no revision 1"),
            (Some(9), None, Kind::Request, "has no revision 9"),
            (Some(4), None, Kind::Request, "revision 4 failed"),
            (Some(5), None, Kind::Request, "revision 5 was never judged"),
            (Some(7), None, Kind::Request, "is the present one"),
            (
                Some(3),
                None,
                Kind::Policy,
                "is of the chart 'other', expected 'shop'",
            ),
            (
                Some(2),
                Some("other"),
                Kind::Policy,
                "is of the chart 'shop', expected 'other'",
            ),
        ] {
            let error = choose(asked, pin).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn after_a_failure_that_was_kept_the_good_one_is_where_to_go() {
        let release = ReleaseId::new("prod", "shop");
        let kept = records(&[("shop", "deployed", ""), ("shop", "failed", "")]);
        assert_eq!(choose(&kept, None, &release, None).unwrap().revision, 1);
        assert_eq!(choose(&kept, Some(1), &release, None).unwrap().revision, 1);
        for none in [
            &[][..],
            &[("shop", "deployed", "")],
            &[("shop", "failed", "")],
        ] {
            let error = choose(&records(none), None, &release, None).unwrap_err();
            assert_eq!(error.kind(), Kind::Request, "{none:?}");
        }
    }
}
