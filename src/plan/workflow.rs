//! The workflow whose attestations count, as `verify` of deploy.toml names it. Pure.
//!
//! What a certificate says is judged elsewhere; here is only what is expected.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What an attestation's certificate has to say of the job that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowPolicy {
    /// The workflow that ran, in the repository that was built.
    pub workflow: WorkflowFile,
    /// The reusable workflow whose job signed, where it has to be that one.
    pub signer: Option<Signer>,
    /// The branches and tags that were built: one of these.
    pub refs: Vec<RefPattern>,
    /// The repository's number, which survives a renaming and is never given again.
    pub repository_id: Option<GitHubId>,
    /// The owner's number.
    pub owner_id: Option<GitHubId>,
    /// Who is trusted to say so, where the node has a file of it.
    pub trusted_root: Option<TrustedRootFile>,
}

/// The file of trusted roots, and what was in it when the plan was made.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustedRootFile {
    /// Where it lies.
    pub path: PathBuf,
    /// JSON, a root on each line.
    pub content: String,
}

impl fmt::Debug for TrustedRootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// A workflow's file in a repository: `acme/shop/.github/workflows/deploy.yml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowFile {
    repository: String,
    path: String,
}

impl WorkflowFile {
    /// What is expected of one.
    pub const EXPECTED: &str = "a workflow's file without its ref, such as \"acme/shop/.github/workflows/deploy.yml\" (refs names the branches and tags)";

    /// `<owner>/<name>`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Whether that is the same file. GitHub does not tell names of owners and
    /// repositories apart by their case.
    pub fn is(&self, other: &Self) -> bool {
        self.repository.eq_ignore_ascii_case(&other.repository) && self.path == other.path
    }
}

impl FromStr for WorkflowFile {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '/');
        let (Some(owner), Some(name), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Self::EXPECTED);
        };
        let file = path.strip_prefix(".github/workflows/");
        let file = file.filter(|file| {
            let stem = file
                .strip_suffix(".yml")
                .or_else(|| file.strip_suffix(".yaml"));
            stem.is_some_and(|stem| !stem.is_empty()) && !file.contains(['/', '@', '*'])
        });
        let word = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !text.is_empty() && text.bytes().all(plain)
        };
        if file.is_none() || !word(owner) || !word(name) || !path.bytes().all(is_graphic) {
            return Err(Self::EXPECTED);
        }
        Ok(Self {
            repository: format!("{owner}/{name}"),
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for WorkflowFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.repository, self.path)
    }
}

/// A reusable workflow, at one ref where it has to be that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Its file.
    pub workflow: WorkflowFile,
    /// The branch, the tag or the commit.
    pub reference: Option<String>,
}

impl Signer {
    /// What is expected of one.
    pub const EXPECTED: &str = "a reusable workflow, such as \"acme/deploy/.github/workflows/build.yml\", with \"@refs/tags/v1\" or a commit behind it where it has to be that one";
}

impl FromStr for Signer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (file, reference) = match text.split_once('@') {
            Some((file, reference)) => (file, Some(reference)),
            None => (text, None),
        };
        let bad = |text: &&str| text.is_empty() || !text.bytes().all(is_graphic);
        if reference.as_ref().is_some_and(bad) {
            return Err(Self::EXPECTED);
        }
        Ok(Self {
            workflow: file.parse().map_err(|_| Self::EXPECTED)?,
            reference: reference.map(ToOwned::to_owned),
        })
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Some(reference) => write!(f, "{}@{reference}", self.workflow),
            None => self.workflow.fmt(f),
        }
    }
}

/// Branches or tags: `*` stands for any text within one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefPattern(String);

impl RefPattern {
    /// What is expected of one.
    pub const EXPECTED: &str = "a branch or tag such as \"refs/heads/main\" or \"refs/tags/v*\" ('*' stays within one segment)";

    /// Whether it names this ref.
    pub fn matches(&self, reference: &str) -> bool {
        let (mut patterns, mut segments) = (self.0.split('/'), reference.split('/'));
        loop {
            match (patterns.next(), segments.next()) {
                (None, None) => return true,
                (Some(pattern), Some(segment)) if is_like(pattern, segment) => {}
                _ => return false,
            }
        }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RefPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let of_branch = text.strip_prefix("refs/heads/");
        let name = of_branch.or_else(|| text.strip_prefix("refs/tags/"));
        let whole = |name: &str| name.split('/').all(|segment| !segment.is_empty());
        if name.is_some_and(whole) && text.bytes().all(is_graphic) {
            return Ok(Self(text.to_owned()));
        }
        Err(Self::EXPECTED)
    }
}

/// The number that GitHub gave a repository or an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHubId(String);

impl GitHubId {
    /// What is expected of one.
    pub const EXPECTED: &str = "the number of a repository or an owner in quotes, such as \"74\"";

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GitHubId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if text.is_empty() || text.len() > 20 || !digits {
            return Err(Self::EXPECTED);
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_graphic(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// Whether a segment is one that the pattern stands for.
fn is_like(pattern: &str, segment: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = segment.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{GitHubId, RefPattern, Signer, WorkflowFile};

    #[test]
    fn a_star_stays_within_one_segment() {
        for (pattern, yes, no) in [
            (
                "refs/heads/main",
                &["refs/heads/main"][..],
                &[
                    "refs/heads/main2",
                    "refs/heads/Main",
                    "refs/heads/main/x",
                    "refs/heads",
                    "refs/tags/main",
                    "main",
                    "",
                ][..],
            ),
            (
                "refs/tags/v*",
                &["refs/tags/v1", "refs/tags/v", "refs/tags/v1.2.3-rc.1"],
                &["refs/tags/v1/x", "refs/tags/1", "refs/heads/v1"],
            ),
            (
                "refs/heads/release/*",
                &["refs/heads/release/1.0"],
                &[
                    "refs/heads/release",
                    "refs/heads/release/1/x",
                    "refs/pull/1/merge",
                ],
            ),
            (
                "refs/tags/v*.*-lts",
                &["refs/tags/v1.2-lts", "refs/tags/v.-lts"],
                &[
                    "refs/tags/v1-lts",
                    "refs/tags/v1.2-lts2",
                    "refs/tags/v1.2-lt",
                ],
            ),
            (
                "refs/tags/*a*a",
                &["refs/tags/aa", "refs/tags/xaya"],
                &["refs/tags/a"],
            ),
        ] {
            let pattern: RefPattern = pattern.parse().unwrap();
            for reference in yes {
                assert!(pattern.matches(reference), "{pattern:?} {reference}");
            }
            for reference in no {
                assert!(!pattern.matches(reference), "{pattern:?} {reference}");
            }
        }
        for bad in [
            "main",
            "*",
            "refs/pull/*/merge",
            "refs/heads/",
            "refs/tags/a//b",
            "refs/tags/a b",
        ] {
            assert_eq!(
                bad.parse::<RefPattern>(),
                Err(RefPattern::EXPECTED),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_workflow_is_a_file_of_a_repository() {
        let file = |text: &str| text.parse::<WorkflowFile>();
        let good = file("acme/shop/.github/workflows/deploy.yml").unwrap();
        assert_eq!(good.repository(), "acme/shop");
        assert!(good.is(&file("Acme/Shop/.github/workflows/deploy.yml").unwrap()));
        assert!(!good.is(&file("acme/shop/.github/workflows/Deploy.yml").unwrap()));
        assert!(!good.is(&file("acme/shop2/.github/workflows/deploy.yml").unwrap()));
        for bad in [
            "",
            "acme/shop",
            "deploy.yml",
            "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
            "acme/shop/.github/workflows/*.yml",
            "acme/shop/.github/workflows/.yml",
            "acme/shop/.github/workflows/a/b.yml",
            "acme/shop/.github/workflows/deploy",
            "/shop/.github/workflows/deploy.yml",
            "ac me/shop/.github/workflows/deploy.yml",
            "https://github.com/acme/shop/.github/workflows/deploy.yml",
        ] {
            assert_eq!(file(bad), Err(WorkflowFile::EXPECTED), "{bad}");
        }
        let signer = |text: &str| text.parse::<Signer>().map(|it| it.to_string());
        for good in [
            "acme/deploy/.github/workflows/build.yml",
            "acme/deploy/.github/workflows/build.yml@refs/tags/v1",
        ] {
            assert_eq!(signer(good).as_deref(), Ok(good));
        }
        for bad in ["acme/deploy/.github/workflows/build.yml@", "acme/deploy@v1"] {
            assert_eq!(signer(bad), Err(Signer::EXPECTED));
        }
        assert!("74".parse::<GitHubId>().is_ok());
        for bad in ["", "x", "-1", "123456789012345678901"] {
            assert_eq!(bad.parse::<GitHubId>(), Err(GitHubId::EXPECTED));
        }
    }
}
