#![allow(clippy::unwrap_used)]

use super::{HistoryQuery, LIMIT, run, table};
use crate::error::{Exit, Kind};
use crate::state::journal::{append, file, tests::entry};

#[test]
fn a_table_for_people() {
    let mut good = entry("shop", Exit::Deployed);
    good.run = "20261124T175106Z-1a2b3c".parse().unwrap();
    let mut bad = entry("pytoya", Exit::Failed(Kind::Broken));
    bad.run = good.run.clone();
    bad.before = None;
    bad.revision = Some(1);
    bad.who.user = "evil\u{1b}[31m\n".into();
    bad.took_ms = 95_460;
    let mut dry = entry("x", Exit::Deployed);
    dry.run = good.run.clone();
    (dry.dry_run, dry.before, dry.revision, dry.took_ms) = (true, None, None, 80);
    assert_eq!(
        table(&[good, bad, dry], None),
        [
            "TIME (UTC)           APP     REVISION  CHART  OUTCOME                 WHO             TOOK   RUN",
            "2026-11-24 17:51:06  shop    6 → 7     1.2.3  deployed                runner          4.3s   20261124T175106Z-1a2b3c",
            "2026-11-24 17:51:06  pytoya  1         1.2.3  failed-needs-hands (8)  evil\\x1b[31m\\n  1m35s  20261124T175106Z-1a2b3c",
            "2026-11-24 17:51:06  x       -         1.2.3  dry run                 runner          80ms   20261124T175106Z-1a2b3c",
        ]
    );
}

/// What tells least goes first, and a row stays a row.
#[test]
fn a_table_fits_the_terminal() {
    let run = || "20261124T175106Z-1a2b3c".parse().unwrap();
    let mut good = entry("shop", Exit::Deployed);
    good.run = run();
    let mut bad = entry("pytoya-with-a-long-name", Exit::Failed(Kind::RolledBack));
    bad.run = run();
    bad.request.version = "1.2.3-rc.1.20261124".to_owned();
    bad.who.user = "github-runner".to_owned();
    let rows = [good, bad];
    for width in [120, 100, 80, 76] {
        let table = table(&rows, Some(width));
        assert!(
            table.iter().all(|line| crate::text::columns(line) <= width),
            "{width}: {table:#?}"
        );
    }
    let shown = |width| table(&rows, Some(width)).join("\n") + "\n";
    snapbox::assert_data_eq!(
        shown(100),
        snapbox::str![[r"
APP                   REVISION  CHART       OUTCOME                      RUN
shop                  6 → 7     1.2.3       deployed                     20261124T175106Z-1a2b3c
pytoya-with-a-long-…  6 → 7     1.2.3-rc.…  failed-last-good-serves (7)  20261124T175106Z-1a2b3c

"]]
    );
    snapbox::assert_data_eq!(
        shown(80),
        snapbox::str![[r"
APP           REVISION  OUTCOME                      RUN
shop          6 → 7     deployed                     20261124T175106Z-1a2b3c
pytoya-with…  6 → 7     failed-last-good-serves (7)  20261124T175106Z-1a2b3c

"]]
    );
    assert_eq!(table(&rows, Some(500)), table(&rows, None));
}

#[test]
fn one_app_or_all_as_lines_or_as_json() {
    let state = tempfile::tempdir().unwrap();
    let ask = |app: Option<&str>, json| {
        let app = app.map(|app| app.parse().unwrap());
        run(
            &HistoryQuery {
                app,
                json,
                limit: LIMIT,
                width: None,
            },
            state.path(),
        )
    };
    assert_eq!(ask(None, false).unwrap(), ["no deploys yet"]);
    assert_eq!(
        ask(Some("shop"), false).unwrap(),
        ["no deploys of shop yet"]
    );
    assert_eq!(ask(None, true).unwrap(), [""; 0]);
    for app in ["shop", "other", "shop"] {
        append(state.path(), &entry(app, Exit::Deployed)).unwrap();
    }
    assert_eq!(ask(Some("shop"), false).unwrap().len(), 3);
    let json = ask(None, true).unwrap();
    assert_eq!(json.len(), 3);
    assert!(json.iter().all(|line| line.starts_with("{\"run\":\"")));
    std::fs::remove_file(file(state.path())).unwrap();
    std::fs::create_dir(file(state.path())).unwrap();
    assert!(
        ask(None, false)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}
