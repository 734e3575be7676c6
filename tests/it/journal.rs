//! What a node remembers of its deploys, and that it never stands in the way
//! of one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Node, RUNNER, SCRIPT, on_both_helms};

/// A command line for the shell: the signal, with something behind it.
fn line(node: &Node, images: &Value, more: &str) -> String {
    format!(
        "{SCRIPT} --app {0} --chart oci://ghcr.io/{0}/charts/shop --chart-version 0.1.0 --images '{images}' {more}",
        node.name
    )
}

on_both_helms! {
    /// One line per run, as DESIGN says; `deploy history` shows them, and a
    /// reader that has gone changes nothing.
    fn one_line_per_run(node) {
        node.shop("0.1.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        let images = json!({ "api": api.by_tag(), "web": web.by_digest() });

        // Nobody reads what is said.
        node.shell(&line(&node, &images, ">&- 2>&-")).exits(0);
        let lines = node.journal();
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!(line["who"]["uid"], RUNNER, "{line}");
        assert_eq!(line["who"]["user"], RUNNER.to_string());
        assert_eq!(line["who"].get("workflow"), None);
        assert_eq!(line["request"]["app"], node.name.as_str());
        assert_eq!(line["request"]["version"], "0.1.0");
        assert_eq!(line["request"]["images"], images);
        assert_eq!(line["digests"], json!({ "api": api.digest, "web": web.digest }));
        assert!(line["chart_digest"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(
            (&line["before"], &line["revision"], &line["dry_run"], &line["outcome"], &line["exit"]),
            (&Value::Null, &json!(1), &json!(false), &json!("deployed"), &json!(0))
        );
        let laps: BTreeMap<&str, u64> = line["phases"].as_array().unwrap().iter()
            .map(|lap| (lap["phase"].as_str().unwrap(), lap["ms"].as_u64().unwrap()))
            .collect();
        let expected = ["heal", "lock", "preflight", "prove", "rollout", "verify"];
        assert_eq!(laps.keys().copied().collect::<Vec<_>>(), expected);
        assert!(laps.values().sum::<u64>() <= line["took_ms"].as_u64().unwrap(), "{line}");

        // A dry run and a mistake of the workflow's.
        node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag()).arg("--dry-run")
            .run().exits(0).says("would deploy").says("api ← api.image");
        node.signal("0.1.0").image("api", "nonsense").run().exits(2);
        node.signal("0.2.0").image("api", api.by_tag()).image("web", web.by_tag()).run().exits(5);
        let lines = node.journal();
        assert_eq!(lines.len(), 3, "a bad request leaves no line");
        assert_eq!((&lines[1]["dry_run"], &lines[1]["before"]), (&json!(true), &json!(1)));
        assert_eq!(lines[2]["exit"], 5);
        assert!(lines[2]["cause"].as_str().unwrap().contains("does not have it"));

        let history = node.shell(&format!("{SCRIPT} history {}", node.name));
        history.exits(0).says("OUTCOME").says("not-in-registry (5)").says("dry run").says("deployed");
        assert!(!history.stdout.contains('→'), "no run but the first made a revision");
        assert_eq!(history.stdout.lines().count(), 4, "{}", history.stdout);
        let json = node.shell(&format!("{SCRIPT} history --json"));
        let newest_first: Vec<Value> = lines.into_iter().rev().collect();
        assert_eq!(json.json("run"), newest_first);
        node.shell(&format!("{SCRIPT} history other")).exits(0).says("no deploys of other yet");
        node.shell(&format!("{SCRIPT} history --json >&-")).exits(0);
    }
}

on_both_helms! {
    /// Where the journal cannot be written, the deploy is a warning worse, and
    /// no more.
    fn a_journal_that_cannot_be_written(node) {
        node.shop("0.1.0");
        let (api, web) = (node.image("api", "t1"), node.image("web", "t1"));
        let state = node.home.var_lib("deploy");
        std::fs::create_dir(&state).unwrap();
        std::os::unix::fs::chown(&state, Some(RUNNER), Some(RUNNER)).unwrap();
        let send = || node.signal("0.1.0").image("api", api.by_tag()).image("web", web.by_tag()).run();

        // A folder in the way.
        std::fs::create_dir(state.join("journal.jsonl")).unwrap();
        send().exits(0)
            .says("warning: the journal in /var/lib/deploy cannot be written")
            .says("deployed").says("revision 1");
        std::fs::remove_dir(state.join("journal.jsonl")).unwrap();

        // A directory of root's: the runner's own is taken, and that is told.
        std::os::unix::fs::chown(&state, Some(0), Some(0)).unwrap();
        send().exits(0).says(
            "warning: /var/lib/deploy cannot be written by this user: lock and journal lie in /home/github-runner/.local/state/deploy",
        );
        assert_eq!(node.journal().len(), 1);
        // And where there is none either, no lock can be had.
        std::fs::remove_dir_all(node.home.inside(".local")).unwrap();
        node.home.write(".local", "", 0o600);
        send().exits(3).says("/home/github-runner/.local");
        std::os::unix::fs::chown(&state, Some(RUNNER), Some(RUNNER)).unwrap();

        // A disk that is full before the lock is taken.
        node.home.fill_the_disk();
        send().exits(0)
            .says("warning: the journal in /var/lib/deploy cannot be written")
            .says("No space left on device")
            .says("revision 3");
        node.runs(&[api.by_tag(), web.by_tag()]);
    }
}
