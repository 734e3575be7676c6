//! The key `callers` of deploy.toml: whose signals are taken.

use std::str::FromStr;

use toml::de::DeValue;

use super::reader::{Mistake, Table, named};
use crate::plan::{Caller, RunnerKind};

/// The key, where the table has it.
pub(super) fn read(table: &mut Table<'_>, mistakes: &mut Vec<Mistake>) -> Option<Vec<Caller>> {
    const EXPECTED: &str =
        "a list of callers: [{ repository_id = \"…\", ref = \"refs/heads/main\", called = \"…\" }]";
    let path = table.path_of("callers");
    let value = table.take("callers")?;
    let mut wrong = |at, message| {
        mistakes.push(Mistake {
            at,
            message,
            hint: None,
        });
    };
    let items = match value.get_ref() {
        DeValue::Array(items) if !items.is_empty() => items,
        // None at all would take nobody's signals, and read like everybody's.
        other => {
            let seen = match other {
                DeValue::Array(_) => "empty".to_owned(),
                other => named(other),
            };
            wrong(
                value.span().start,
                format!("{path} is {seen}, expected {EXPECTED}"),
            );
            return None;
        }
    };
    let mut callers = Vec::new();
    for item in items {
        match item.get_ref() {
            DeValue::Table(inner) => {
                callers.extend(one(
                    Table::new(path.as_str(), inner),
                    item.span().start,
                    mistakes,
                ));
            }
            other => mistakes.push(Mistake {
                at: item.span().start,
                message: format!(
                    "an entry of {path} is {}, expected {EXPECTED}",
                    named(other)
                ),
                hint: None,
            }),
        }
    }
    Some(callers)
}

fn one(mut table: Table<'_>, at: usize, mistakes: &mut Vec<Mistake>) -> Option<Caller> {
    let id = table.text::<RepositoryId>("repository_id", RepositoryId::EXPECTED, mistakes);
    let missing = id.is_none() && table.lacks("repository_id");
    let reference = table.text::<Reference>("ref", Reference::EXPECTED, mistakes);
    let environment = table.text::<Word>("environment", "the name of an environment", mistakes);
    let called = table.text::<WorkflowRef>("called", WorkflowRef::EXPECTED, mistakes);
    let called_sha = table.text::<Commit>("called_sha", Commit::EXPECTED, mistakes);
    let workflow = table.text::<WorkflowRef>("workflow", WorkflowRef::EXPECTED, mistakes);
    let runner =
        table.text::<RunnerKind>("runner", "\"github-hosted\" or \"self-hosted\"", mistakes);
    if missing {
        mistakes.push(Mistake {
            at,
            message: format!(
                "a caller has no repository_id, expected {}",
                RepositoryId::EXPECTED
            ),
            hint: Some("gh api repos/OWNER/NAME --jq .id tells it".to_owned()),
        });
    }
    table.finish(mistakes);
    Some(Caller {
        repository_id: id?.0,
        reference: reference.map(|it| it.0),
        environment: environment.map(|it| it.0),
        called: called.map(|it| it.0),
        called_sha: called_sha.map(|it| it.0),
        workflow: workflow.map(|it| it.0),
        runner: runner.unwrap_or_default(),
    })
}

/// A text of this kind.
macro_rules! checked {
    ($name:ident, $expected:expr, $check:expr) => {
        struct $name(String);

        impl $name {
            const EXPECTED: &'static str = $expected;
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let good: fn(&str) -> bool = $check;
                if good(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Self::EXPECTED)
                }
            }
        }
    };
}

checked!(
    RepositoryId,
    "the number of a repository in quotes, such as \"74\"",
    |text| !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())
);
checked!(
    Reference,
    "a branch or tag such as \"refs/heads/main\" or \"refs/tags/v*\"",
    |text| {
        let of_branch = text.strip_prefix("refs/heads/");
        let name = of_branch.or_else(|| text.strip_prefix("refs/tags/"));
        let plain = |name: &str| !name.contains('*') && name.bytes().all(|b| b.is_ascii_graphic());
        name.is_some_and(|name| !name.is_empty() && plain(name.strip_suffix('*').unwrap_or(name)))
    }
);
checked!(Word, "a name on one line", |text| {
    !text.is_empty() && !text.chars().any(char::is_control)
});
checked!(
    WorkflowRef,
    "a workflow with its ref, such as \"acme/deploy/.github/workflows/deploy.yml@refs/tags/v1\"",
    |text| {
        text.bytes().all(|byte| byte.is_ascii_graphic())
            && text.split_once('@').is_some_and(|(path, reference)| {
                path.contains("/.github/workflows/") && !reference.is_empty()
            })
    }
);
checked!(Commit, "a commit of 40 hex digits", |text| {
    text.len() == 40
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
});
