//! The exit codes: a stable public contract, in one table.
//!
//! The README's table is tested against [`Exit::ALL`]. A code is never given
//! another meaning; a new failure gets a kind in [`crate::error::Kind`] first.

/// How a run ends, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Deployed and verified.
    Deployed,
    /// A bug.
    Internal,
    /// The request is invalid; nothing was run or written.
    Request,
    /// Configuration, helm, cluster or credentials are not ready.
    Node,
    /// The node's policy refuses.
    Policy,
    /// Chart or image is not available in the registry.
    Registry,
    /// The chart does not render, or the images would not take effect.
    Chart,
    /// The rollout failed; the last good revision serves.
    RolledBack,
    /// The rollout failed; the release needs hands.
    Broken,
    /// Another deploy of the release holds the lock for too long.
    Locked,
    /// Cancelled by SIGHUP, settled first.
    Hangup,
    /// Cancelled by SIGINT, settled first.
    Interrupted,
    /// Cancelled by SIGTERM, settled first.
    Terminated,
}

impl Exit {
    /// Every way to end, in the order of the codes.
    pub const ALL: [Self; 13] = [
        Self::Deployed,
        Self::Internal,
        Self::Request,
        Self::Node,
        Self::Policy,
        Self::Registry,
        Self::Chart,
        Self::RolledBack,
        Self::Broken,
        Self::Locked,
        Self::Hangup,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Deployed => 0,
            Self::Internal => 1,
            Self::Request => 2,
            Self::Node => 3,
            Self::Policy => 4,
            Self::Registry => 5,
            Self::Chart => 6,
            Self::RolledBack => 7,
            Self::Broken => 8,
            Self::Locked => 9,
            Self::Hangup => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What it means, as the README says it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Deployed => "deployed and verified",
            Self::Internal => "internal error: a bug",
            Self::Request => "invalid request",
            Self::Node => "node not ready: configuration, helm, cluster or credentials",
            Self::Policy => "refused by the node's policy: event, app, owner, chart, freeze",
            Self::Registry => "chart or image not available in the registry",
            Self::Chart => "the chart does not render, or the images would not take effect",
            Self::RolledBack => "rollout failed; the last good revision serves",
            Self::Broken => "rollout failed; the release needs hands",
            Self::Locked => "another deploy of this release holds the lock for too long",
            Self::Hangup => "cancelled by HUP, settled first",
            Self::Interrupted => "cancelled by INT, settled first",
            Self::Terminated => "cancelled by TERM, settled first",
        }
    }

    /// What the caller does next, as the README says it.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::Deployed => "",
            Self::Internal => "report it",
            Self::Request => "fix the workflow",
            Self::Node => "fix the node",
            Self::Policy => "ask its operators",
            Self::Registry => "push it; check access",
            Self::Chart => "fix the chart or the mapping",
            Self::RolledBack => "fix the release",
            Self::Broken => "the operators",
            Self::Locked | Self::Hangup | Self::Interrupted | Self::Terminated => "retry",
        }
    }

    /// The word for it in the journal and in `--json`.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Internal => "internal-error",
            Self::Request => "invalid-request",
            Self::Node => "node-not-ready",
            Self::Policy => "refused",
            Self::Registry => "not-in-registry",
            Self::Chart => "chart-not-usable",
            Self::RolledBack => "failed-last-good-serves",
            Self::Broken => "failed-needs-hands",
            Self::Locked => "locked",
            Self::Hangup | Self::Interrupted | Self::Terminated => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn codes_are_distinct_and_in_order() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
    }
}
