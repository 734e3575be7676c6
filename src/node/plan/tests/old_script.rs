//! The old script's variables.

use super::*;

#[test]
fn the_old_scripts_variables() {
    for (timeout, atomic, config, told) in [
        ("20m", "0", "", Ok((1200, OnFailure::Keep))),
        ("90s", "1", "[apps.shop]", Ok((90, OnFailure::Rollback))),
        (
            "20m",
            "0",
            "[defaults]\ntimeout = \"1m\"",
            Ok((60, OnFailure::Rollback)),
        ),
        (
            "20m",
            "0",
            "[apps.shop]\non_failure = \"rollback\"",
            Ok((600, OnFailure::Rollback)),
        ),
        (
            "nonsense",
            "nonsense",
            "[defaults]\ntimeout = \"1m\"",
            Ok((60, OnFailure::Rollback)),
        ),
        ("", "", "", Ok((600, OnFailure::Rollback))),
        (
            "600",
            "1",
            "",
            Err(
                "DEPLOY_TIMEOUT is '600', expected a duration above zero such as 10m, 1h30m or 90s\ndid you mean 10m? A number needs its unit",
            ),
        ),
        (
            "90m",
            "1",
            "[defaults]\nstale_after = \"1h\"",
            Err("stale_after is 1h, but a deploy can take longer: expected at least 3h2m"),
        ),
        ("0s", "1", "", Err("DEPLOY_TIMEOUT is '0s'")),
        ("-1m", "1", "", Err("DEPLOY_TIMEOUT is '-1m'")),
        (
            "1m",
            "true",
            "",
            Err("DEPLOY_ATOMIC is 'true', expected 1 (roll back) or 0 (keep)"),
        ),
    ] {
        let scene = TestNode::new()
            .file("etc/deploy.toml", config)
            .with("DEPLOY_TIMEOUT", timeout)
            .with("DEPLOY_ATOMIC", atomic);
        // Inside Actions as by hand: the old script read them there.
        for scene in [
            scene,
            TestNode::new()
                .file("etc/deploy.toml", config)
                .with("DEPLOY_TIMEOUT", timeout)
                .with("DEPLOY_ATOMIC", atomic)
                .inside("push"),
        ] {
            match told {
                Ok((seconds, on_failure)) => {
                    let (plan, _) = scene.plan().unwrap();
                    assert_eq!(plan.budget.as_secs(), seconds, "{timeout} {config}");
                    assert_eq!(plan.on_failure, on_failure, "{atomic} {config}");
                    assert!(given(&plan, "DEPLOY_TIMEOUT").is_none());
                }
                Err(told) => {
                    let (kind, seen) = scene.refused();
                    assert_eq!(kind, Kind::Node);
                    assert!(seen.contains(told), "{seen}");
                }
            }
        }
    }
}
