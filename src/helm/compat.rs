//! Where Helm 3 and Helm 4 differ, and nothing else about helm.
//!
//! Pure. Sources: `helm.sh/helm/v3@v3.22.0/cmd/helm`, `helm.sh/helm/v4@v4.3.1/pkg/cmd`.

use std::ffi::OsString;
use std::ops::RangeInclusive;

use crate::error::{Error, Kind, Result};
use crate::text;

/// The oldest helm that is supported: `--dry-run=server` and `--hide-secret`
/// behave as needed from there on.
pub const OLDEST: semver::Version = semver::Version::new(3, 14, 0);

/// The first helm that is not known.
pub const NEXT: semver::Version = semver::Version::new(5, 0, 0);

/// The major version of a helm, which decides its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelmMajor {
    /// Helm 3
    Three,
    /// Helm 4
    Four,
}

/// How helm waits for a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// For hooks only: `deploy` waits for the workloads itself.
    Hooks,
    /// By watching, where the helm can; needs the verb `watch`.
    Watch,
    /// By asking again and again; needs `get` and `list` only.
    Poll,
    /// As [`Wait::Poll`], but for no Job other than hooks.
    PollButJobs,
}

impl HelmMajor {
    /// The major of a helm of that version; an error outside of what is
    /// supported.
    pub fn of(version: &semver::Version) -> Result<Self> {
        // A pre-release counts as what it leads to.
        let release = semver::Version::new(version.major, version.minor, version.patch);
        if release < OLDEST || release >= NEXT {
            return Err(Error::new(
                Kind::Node,
                format!("helm {version} is not supported: {OLDEST} or newer is, and every Helm 4"),
            )
            .hint(
                "install a supported helm, or name one in deploy.toml: helm = \"/path/to/helm\"",
            ));
        }
        Ok(if version.major == 3 {
            Self::Three
        } else {
            Self::Four
        })
    }

    /// The flags that make helm wait. Without them Helm 3 waits for nothing
    /// and Helm 4 for hooks only. Helm 4's watching waits for Jobs without being
    /// asked to.
    pub const fn wait(self, wait: Wait) -> &'static [&'static str] {
        match (self, wait) {
            (_, Wait::Hooks) => &[],
            (Self::Three, Wait::Watch | Wait::Poll) => &["--wait", "--wait-for-jobs"],
            (Self::Three, Wait::PollButJobs) => &["--wait"],
            (Self::Four, Wait::Watch) => &["--wait=watcher", "--wait-for-jobs"],
            (Self::Four, Wait::Poll) => &["--wait=legacy", "--wait-for-jobs"],
            (Self::Four, Wait::PollButJobs) => &["--wait=legacy"],
        }
    }

    /// The flags that let helm take back what others changed. Helm 4 applies
    /// on the server: a field that `kubectl scale` or `set image` has taken
    /// over would block every later deploy. It refuses the flag for a release
    /// that an earlier helm applied on the client (`pkg/kube/client.go`:
    /// "forceConflicts enabled when serverSideApply disabled"). A first install
    /// is always applied on the server.
    pub const fn conflicts(self, server_side: bool) -> Option<&'static str> {
        if self.applies_on_the_server(server_side) {
            Some("--force-conflicts")
        } else {
            None
        }
    }

    /// Whether helm applies a release on the server, where its last record says so
    /// (`server_side`): what a field was before then does not matter.
    pub const fn applies_on_the_server(self, server_side: bool) -> bool {
        matches!(self, Self::Four) && server_side
    }

    /// Whether a chart can render the release's own namespace and helm still begin
    /// where that is not there yet: Helm 4 applies over the one it made.
    pub const fn applies_over_its_namespace(self) -> bool {
        matches!(self, Self::Four)
    }

    /// Whether helm reads its waiting off watches when it waits with
    /// [`Wait::Watch`].
    pub const fn watches(self) -> bool {
        matches!(self, Self::Four)
    }
}

/// Whether `helm rollback` takes `--description`: from 4.3 on
/// (`pkg/cmd/rollback.go`).
pub fn describes_rollback(helm: &semver::Version) -> bool {
    (helm.major, helm.minor) >= (4, 3)
}

/// Whether helm without `--wait` goes on only when the kinds that a chart brings
/// in `crds/` are served: Helm 4 before 4.3 does not.
pub fn waits_for_crds(helm: &semver::Version) -> bool {
    helm.major == 3 || (helm.major, helm.minor) >= (4, 3)
}

/// The minors of Kubernetes 1 that a helm is made for: that of the client it was
/// compiled with, which follows its own minor, and the three before
/// (<https://helm.sh/docs/topics/version_skew/>, and each release's `go.mod`).
/// None for a helm that is not known.
pub fn kubernetes(helm: &semver::Version) -> Option<RangeInclusive<u64>> {
    let newest = match helm.major {
        3 => helm.minor + 15,
        4 => helm.minor + 34,
        _ => return None,
    };
    Some(newest.saturating_sub(3)..=newest)
}

/// Reads the version that `helm version --template {{.Version}}` prints.
pub fn version(printed: &str) -> Result<semver::Version> {
    let word = printed.trim();
    word.strip_prefix('v').unwrap_or(word).parse().map_err(|_| {
        Error::new(
            Kind::Node,
            format!(
                "helm does not print its version: expected one such as v4.3.1, got {}",
                text::quoted(word)
            ),
        )
        .hint("see that the helm in PATH, or in deploy.toml, is Helm 3 or 4")
    })
}

/// A value of a flag whose values are a list: helm reads them as a line of CSV
/// (pflag's `StringSlice`), so that a comma in a path would part it in two.
pub fn listed(value: &std::ffi::OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let bytes = value.as_bytes();
    if !bytes
        .iter()
        .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
        && !bytes.starts_with(b" ")
    {
        return value.to_owned();
    }
    let mut quoted = vec![b'"'];
    for byte in bytes {
        if *byte == b'"' {
            quoted.push(b'"');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{HelmMajor, Wait, kubernetes, listed, version};

    #[test]
    fn versions_are_read_and_judged() {
        for (printed, major) in [
            ("v3.22.0", Some(HelmMajor::Three)),
            ("v3.14.0\n", Some(HelmMajor::Three)),
            ("v4.3.1", Some(HelmMajor::Four)),
            ("v4.0.0-rc.1", Some(HelmMajor::Four)),
            ("3.18.4+unstable", Some(HelmMajor::Three)),
            ("v3.13.3", None),
            ("v2.17.0", None),
            ("v5.0.0", None),
            ("v5.0.0-alpha.1", None),
        ] {
            let found = HelmMajor::of(&version(printed).unwrap());
            assert_eq!(found.as_ref().ok(), major.as_ref(), "{printed}");
            if let Err(error) = found {
                assert!(error.to_string().contains("3.14.0 or newer"), "{error}");
            }
        }
        for printed in ["", "Client: v3", "\u{1b}[31m"] {
            assert!(version(printed).unwrap_err().to_string().contains("v4.3.1"));
        }
    }

    #[test]
    fn each_helm_is_made_for_four_minors_of_kubernetes() {
        for (helm, minors) in [
            ("3.14.0", Some(26..=29)),
            ("3.20.2", Some(32..=35)),
            ("3.22.0", Some(34..=37)),
            ("4.0.0", Some(31..=34)),
            ("4.3.1", Some(34..=37)),
            ("5.0.0", None),
        ] {
            assert_eq!(kubernetes(&helm.parse().unwrap()), minors, "{helm}");
        }
    }

    #[test]
    fn the_differences() {
        for (major, wait, flags) in [
            (HelmMajor::Three, Wait::Watch, "--wait --wait-for-jobs"),
            (HelmMajor::Three, Wait::Poll, "--wait --wait-for-jobs"),
            (HelmMajor::Three, Wait::PollButJobs, "--wait"),
            (
                HelmMajor::Four,
                Wait::Watch,
                "--wait=watcher --wait-for-jobs",
            ),
            (HelmMajor::Four, Wait::Poll, "--wait=legacy --wait-for-jobs"),
            (HelmMajor::Four, Wait::PollButJobs, "--wait=legacy"),
        ] {
            assert_eq!(major.wait(wait).join(" "), flags);
        }
        assert_eq!(HelmMajor::Three.conflicts(true), None);
        assert_eq!(HelmMajor::Four.conflicts(false), None);
        assert_eq!(HelmMajor::Four.conflicts(true), Some("--force-conflicts"));
    }

    #[test]
    fn a_value_of_a_list_stays_one() {
        for (value, shown) in [
            ("/a/b.yaml", "/a/b.yaml"),
            ("/a b/c", "/a b/c"),
            ("/a,b", "\"/a,b\""),
            ("/a\"b", "\"/a\"\"b\""),
        ] {
            assert_eq!(listed(value.as_ref()), shown);
        }
    }
}
