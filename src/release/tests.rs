//! Records for unit tests.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::record::{Record, read};

/// One for each chart, status and description, from revision 1 on.
pub(super) fn records(of: &[(&str, &str, &str)]) -> Vec<Record> {
    let record = |(at, (chart, status, description)): (usize, &(&str, &str, &str))| {
        read(
            json!({"version": at + 1, "chart": {"metadata": {"name": chart}},
            "info": {"status": status, "description": description}}),
        )
    };
    of.iter()
        .enumerate()
        .map(|one| record(one).unwrap())
        .collect()
}
