//! The key `verify` of deploy.toml.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::names::FilePath;
use super::reader::{Mistake, Table, named};
use crate::plan::workflow::GitHubId;
use crate::plan::{RefPattern, Signer, WorkflowFile};
use crate::text;

const EXPECTED: &str = "{ key = \"deploy.pub\" }, { workflow = \"…\", refs = [\"…\"] } or \"off\"";

/// What chart and images are proven with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verifying {
    /// Nothing, whatever the defaults say.
    Off,
    /// The public key in this file.
    Key(PathBuf),
    /// The attestations of a workflow.
    Workflow(Box<Attesting>),
}

/// The workflow whose attestations count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attesting {
    /// The workflow.
    pub workflow: WorkflowFile,
    /// The reusable one that signs.
    pub signer: Option<Signer>,
    /// The branches and tags.
    pub refs: Vec<RefPattern>,
    /// The repository's number.
    pub repository_id: Option<GitHubId>,
    /// The owner's number.
    pub owner_id: Option<GitHubId>,
}

/// The key, where the table has it.
pub(super) fn read(
    table: &mut Table<'_>,
    base: &Path,
    mistakes: &mut Vec<Mistake>,
) -> Option<Verifying> {
    let path = table.path_of("verify");
    let value = table.take("verify")?;
    let at = value.span().start;
    let seen = match value.get_ref() {
        DeValue::String(text) if text == "off" => return Some(Verifying::Off),
        DeValue::String(text) => text::quoted(text),
        DeValue::Table(inner) if inner.is_empty() => "an empty table".to_owned(),
        DeValue::Table(inner) => {
            let before = mistakes.len();
            let (key, attesting) = proofs(Table::new(path.clone(), inner), mistakes);
            if mistakes.len() > before {
                return None;
            }
            match (key, attesting.workflow) {
                (Some(file), None) if attesting.rest.is_empty() => {
                    return Some(Verifying::Key(base.join(file.0)));
                }
                (None, Some(workflow)) if attesting.refs.is_empty() => {
                    format!("without refs for {workflow}")
                }
                (None, Some(workflow)) => {
                    return Some(Verifying::Workflow(Box::new(Attesting {
                        workflow,
                        signer: attesting.signer,
                        refs: attesting.refs,
                        repository_id: attesting.repository_id,
                        owner_id: attesting.owner_id,
                    })));
                }
                (Some(_), Some(_)) => "both a key and a workflow".to_owned(),
                (_, None) => format!("{} without a workflow", attesting.rest.join(", ")),
            }
        }
        other => named(other),
    };
    mistakes.push(Mistake {
        at,
        message: format!("{path} is {seen}, expected {EXPECTED}"),
        hint: None,
    });
    None
}

/// What stands there of a workflow.
struct Found {
    workflow: Option<WorkflowFile>,
    signer: Option<Signer>,
    refs: Vec<RefPattern>,
    repository_id: Option<GitHubId>,
    owner_id: Option<GitHubId>,
    /// The keys that mean nothing without one.
    rest: Vec<&'static str>,
}

fn proofs(mut table: Table<'_>, mistakes: &mut Vec<Mistake>) -> (Option<FilePath>, Found) {
    let key = table.text::<FilePath>("key", FilePath::EXPECTED, mistakes);
    let workflow = table.text::<WorkflowFile>("workflow", WorkflowFile::EXPECTED, mistakes);
    let signer = table.text::<Signer>("signer", Signer::EXPECTED, mistakes);
    let refs = table.list::<RefPattern>("refs", RefPattern::EXPECTED, mistakes);
    let repository_id = table.text::<GitHubId>("repository_id", GitHubId::EXPECTED, mistakes);
    let owner_id = table.text::<GitHubId>("owner_id", GitHubId::EXPECTED, mistakes);
    let rest = ["signer", "refs", "repository_id", "owner_id"];
    let rest = rest.into_iter().filter(|key| !table.lacks(key)).collect();
    table.finish(mistakes);
    let found = Found {
        workflow,
        signer,
        refs: refs.unwrap_or_default(),
        repository_id,
        owner_id,
        rest,
    };
    (key, found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::{GitHubId, Verifying};
    use crate::node::config::Config;

    #[test]
    fn a_key_file_or_off() {
        let read = |value: &str| {
            let document = format!("[defaults]\nverify = {value}\n");
            Config::parse(&document, Path::new("/etc/deploy/deploy.toml"))
                .map(|config| config.defaults.verify.unwrap())
                .map_err(|error| error.to_string())
        };
        let key = |path: &str| Ok(Verifying::Key(path.into()));
        assert_eq!(
            read("{ key = \"deploy.pub\" }"),
            key("/etc/deploy/deploy.pub")
        );
        assert_eq!(read("{ key = \"/k.pub\" }"), key("/k.pub"));
        assert_eq!(read("\"off\""), Ok(Verifying::Off));
        let workflow = read(
            "{ workflow = \"a/b/.github/workflows/c.yml\", signer = \"d/e/.github/workflows/f.yml@refs/tags/v1\", refs = [\"refs/heads/main\", \"refs/tags/v*\"], repository_id = \"74\", owner_id = \"7\" }",
        );
        let Verifying::Workflow(attesting) = workflow.unwrap() else {
            panic!("no workflow");
        };
        assert_eq!(attesting.refs.len(), 2);
        assert_eq!(attesting.owner_id.as_ref().map(GitHubId::as_str), Some("7"));
        for (value, told) in [
            (
                "\"of\"",
                "defaults.verify is 'of', expected { key = \"deploy.pub\" }, { workflow = \"…\", refs = [\"…\"] } or \"off\"",
            ),
            ("true", "defaults.verify is true, expected"),
            ("{}", "defaults.verify is an empty table, expected"),
            ("{ keys = \"a\" }", "did you mean key?"),
            ("{ key = 1 }", "defaults.verify.key is the number 1"),
            (
                "{ key = \"a\", workflow = \"a/b/.github/workflows/c.yml\", refs = [\"refs/heads/main\"] }",
                "defaults.verify is both a key and a workflow, expected",
            ),
            (
                "{ key = \"a\", refs = [\"refs/heads/main\"], owner_id = \"1\" }",
                "defaults.verify is refs, owner_id without a workflow, expected",
            ),
            (
                "{ workflow = \"a/b/.github/workflows/c.yml\" }",
                "defaults.verify is without refs for a/b/.github/workflows/c.yml, expected",
            ),
            (
                "{ workflow = \"a/b/.github/workflows/c.yml\", refs = [] }",
                "defaults.verify is without refs for a/b/.github/workflows/c.yml, expected",
            ),
            (
                "{ workflow = \"a/b/.github/workflows/c.yml@refs/heads/main\", refs = [] }",
                "(refs names the branches and tags)",
            ),
            (
                "{ workflow = \"a/b/.github/workflows/c.yml\", refs = [\"main\"] }",
                "an entry of defaults.verify.refs is 'main', expected a branch or tag",
            ),
            (
                "{ workflow = \"a/b/.github/workflows/c.yml\", refs = [\"refs/heads/main\"], owner_id = 7 }",
                "defaults.verify.owner_id is the number 7, expected the number of",
            ),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(told), "{value}: {error}");
        }
    }
}
