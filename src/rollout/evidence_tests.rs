//! What of the evidence is told.

use super::{Evidence, Log, is_routine};
use crate::rollout::workload_ref::NamespacedName;

fn log(previous: bool, lines: &[&str]) -> Log {
    Log {
        pod: NamespacedName {
            namespace: "shop".to_owned(),
            name: "api-1".to_owned(),
        },
        container: "api".to_owned(),
        previous,
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    }
}

#[test]
fn a_log_that_repeats_another_is_told_once() {
    let ends = |logs: Vec<Log>, max| {
        let lines = Vec::new();
        Evidence { lines, logs }.log_ends(max)
    };
    let now = "log of container api of pod api-1:";
    let before = "log of container api of pod api-1, the run before:";
    for (logs, expected) in [
        (vec![], vec![]),
        (vec![log(false, &[])], vec![]),
        (
            vec![log(true, &["a", "b"]), log(false, &["a", "b"])],
            vec![now, "  a", "  b"],
        ),
        (
            vec![log(true, &["a", "b"]), log(false, &["a"])],
            vec![before, "  a", "  b"],
        ),
        (
            vec![log(true, &["a"]), log(false, &["b"])],
            vec![before, "  a", now, "  b"],
        ),
    ] {
        assert_eq!(ends(logs, 10), expected);
    }
    let long = log(true, &["a", "b", "c"]);
    assert_eq!(ends(vec![long.clone()], 2), [before, "  b", "  c"]);
    assert_eq!(
        ends(vec![long, log(false, &["x", "y"])], 2),
        [before, "  c", now, "  y"]
    );
}

#[test]
fn what_every_pod_goes_through_is_no_news() {
    for (line, routine) in [
        (
            "  Scheduled (1×): Successfully assigned shop/api-1 to node",
            true,
        ),
        (
            "  BackOff (3×): Back-off restarting failed container api in pod api-1_shop(1)",
            true,
        ),
        (
            "  BackOff (3×): Back-off pulling image \"x\": ErrImagePull: denied",
            false,
        ),
        (
            "  Unhealthy (2×): Readiness probe failed: connection refused",
            false,
        ),
        ("pod api-1 on node is not ready", false),
        ("  container api runs and is not ready (restarts: 0)", false),
    ] {
        assert_eq!(is_routine(line), routine, "{line}");
    }
}
