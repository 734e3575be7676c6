//! What the front remembers while it runs: policies, tokens and what was asked. In memory only.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::policy::{Access, Caller, Kind, PUSH_PASSWORD, PUSH_USER, Policy, Struck, strike};
use super::question::{Credentials, Repository};

/// GHCR states no expiry; clients then take the 60 s that the distribution specification names.
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// How many requests are remembered for each owner; older ones are dropped.
const LOG_LIMIT: usize = 10_000;

/// One request that reached the front, for tests that count them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The HTTP method.
    pub method: String,
    /// Path and query, as received.
    pub path: String,
    /// What kind of request it is.
    pub kind: Kind,
    /// The repository without its owner.
    pub package: String,
    /// The user whose credentials or token came with it, known or not; `None`: anonymous.
    pub user: Option<String>,
    /// The status that was answered; `None`: not answered, or cut off before.
    pub status: Option<u16>,
}

#[derive(Default)]
struct Owner {
    policy: Policy,
    log: VecDeque<(u64, Asked)>,
}

struct Token {
    /// User and password; they are judged again at each use, as a policy may change.
    holder: Option<(String, String)>,
    repositories: Vec<Repository>,
    given: Instant,
}

#[derive(Default)]
struct Inner {
    owners: BTreeMap<String, Owner>,
    tokens: HashMap<String, Token>,
    existing: HashSet<Repository>,
    refused: Vec<String>,
    next_entry: u64,
}

/// The memory, shared by all connections.
#[derive(Default)]
pub(super) struct State(Mutex<Inner>);

/// Where an entry of the log stands, so that its status can be filled in.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    owner: String,
    number: u64,
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is one insert or remove: a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn policy(&self, owner: &str) -> Policy {
        self.inner()
            .owners
            .get(owner)
            .map(|owner| owner.policy.clone())
            .unwrap_or_default()
    }

    pub(super) fn set_policy(&self, owner: &str, policy: Policy) {
        self.inner()
            .owners
            .entry(owner.to_owned())
            .or_default()
            .policy = policy;
    }

    /// Forgets an owner's policy and what was asked of it.
    pub(super) fn clear(&self, owner: &str) {
        self.inner().owners.remove(owner);
    }

    pub(super) fn asked(&self, owner: &str) -> Vec<Asked> {
        let inner = self.inner();
        let log = inner.owners.get(owner).map(|owner| &owner.log);
        log.into_iter()
            .flatten()
            .map(|(_, asked)| asked.clone())
            .collect()
    }

    pub(super) fn forget_asked(&self, owner: &str) {
        if let Some(owner) = self.inner().owners.get_mut(owner) {
            owner.log.clear();
        }
    }

    pub(super) fn refused(&self) -> Vec<String> {
        self.inner().refused.clone()
    }

    /// Remembers a CONNECT target that was refused.
    pub(super) fn note_refused(&self, target: String) {
        let mut inner = self.inner();
        if inner.refused.len() < LOG_LIMIT {
            inner.refused.push(target);
        }
    }

    pub(super) fn note(&self, owner: &str, asked: Asked) -> Entry {
        let mut inner = self.inner();
        let number = inner.next_entry;
        inner.next_entry += 1;
        let log = &mut inner.owners.entry(owner.to_owned()).or_default().log;
        if log.len() == LOG_LIMIT {
            log.pop_front();
        }
        log.push_back((number, asked));
        Entry {
            owner: owner.to_owned(),
            number,
        }
    }

    pub(super) fn note_status(&self, entry: &Entry, status: u16) {
        let mut inner = self.inner();
        let log = inner
            .owners
            .get_mut(&entry.owner)
            .map(|owner| &mut owner.log);
        let found = log
            .into_iter()
            .flatten()
            .rev()
            .find(|(number, _)| *number == entry.number);
        if let Some((_, asked)) = found {
            asked.status = Some(status);
        }
    }

    pub(super) fn strike(&self, owner: &str, kind: Kind, package: &str) -> Struck {
        let mut inner = self.inner();
        let faults = inner
            .owners
            .get_mut(owner)
            .map(|owner| &mut owner.policy.faults);
        faults.map_or_else(Struck::default, |faults| strike(faults, kind, package))
    }

    pub(super) fn is_known_to_exist(&self, repository: &Repository) -> bool {
        self.inner().existing.contains(repository)
    }

    pub(super) fn note_exists(&self, repository: &Repository) {
        self.inner().existing.insert(repository.clone());
    }

    /// Remembers a new token under the given secret.
    pub(super) fn give(
        &self,
        secret: String,
        holder: Option<(String, String)>,
        repositories: Vec<Repository>,
        given: Instant,
    ) {
        let mut inner = self.inner();
        // Long past their time they need not even be told apart from invented ones.
        inner
            .tokens
            .retain(|_, token| token.given.elapsed() < 10 * TOKEN_LIFE);
        inner.tokens.insert(
            secret,
            Token {
                holder,
                repositories,
                given,
            },
        );
    }

    /// Who asks at the token, and the name in the credentials.
    pub(super) fn caller_at_token(
        &self,
        owner: &str,
        credentials: &Credentials,
    ) -> (Caller, Option<String>) {
        match credentials {
            Credentials::None => (Caller::Anonymous, None),
            Credentials::Basic { user, password } => {
                (self.signed_in(owner, user, password), Some(user.clone()))
            }
            Credentials::Bearer(_) | Credentials::Malformed => (Caller::BadCredentials, None),
        }
    }

    /// Who asks of a repository (`None`: of `/v2/` itself), and the name behind the token.
    pub(super) fn caller(
        &self,
        repository: Option<&Repository>,
        credentials: &Credentials,
    ) -> (Caller, Option<String>) {
        let secret = match credentials {
            Credentials::None => return (Caller::NoToken, None),
            Credentials::Basic { .. } | Credentials::Malformed => return (Caller::BadToken, None),
            Credentials::Bearer(secret) => secret,
        };
        let found = self.inner().tokens.get(secret).map(|token| {
            let fits = repository.is_none_or(|one| token.repositories.contains(one));
            (
                token.holder.clone(),
                fits,
                token.given.elapsed() > TOKEN_LIFE,
            )
        });
        match found {
            None => (Caller::BadToken, None),
            Some((holder, _, true)) => (Caller::OldToken, holder.map(|(user, _)| user)),
            // A signed-in token stands for its user, whatever scope it was asked for.
            Some((Some((user, password)), _, _)) => {
                let owner = repository.map_or("", Repository::owner);
                (self.signed_in(owner, &user, &password), Some(user))
            }
            Some((None, true, _)) => (Caller::Anonymous, None),
            // Lawful, but it was given for another repository: the challenge names the right one.
            Some((None, false, _)) => (Caller::NoToken, None),
        }
    }

    /// Users are known to GitHub as a whole; what they may do is up to each owner.
    fn signed_in(&self, owner: &str, user: &str, password: &str) -> Caller {
        if user == PUSH_USER && password == PUSH_PASSWORD {
            return Caller::User(Access::Write);
        }
        let inner = self.inner();
        let access = |policy: &Policy| {
            let known = policy
                .users
                .get(user)
                .filter(|known| known.password == password);
            known.map(|known| known.access)
        };
        if let Some(access) = inner
            .owners
            .get(owner)
            .and_then(|owner| access(&owner.policy))
        {
            return Caller::User(access);
        }
        let elsewhere: Vec<Access> = inner
            .owners
            .values()
            .filter_map(|owner| access(&owner.policy))
            .collect();
        if elsewhere.iter().any(|access| *access != Access::Expired) {
            Caller::User(Access::None)
        } else {
            Caller::BadCredentials
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic {
            user: user.into(),
            password: password.into(),
        }
    }

    #[test]
    fn users_are_global_and_their_access_is_the_owners() {
        let state = State::default();
        state.set_policy(
            "acme",
            Policy::private()
                .user("bot", "x", Access::Read)
                .user("old", "y", Access::Expired),
        );
        let at = |owner: &str, user: &str, password: &str| {
            state.caller_at_token(owner, &basic(user, password)).0
        };
        assert_eq!(at("acme", "bot", "x"), Caller::User(Access::Read));
        assert_eq!(at("acme", "bot", "wrong"), Caller::BadCredentials);
        assert_eq!(at("other", "bot", "x"), Caller::User(Access::None));
        assert_eq!(at("acme", "old", "y"), Caller::User(Access::Expired));
        assert_eq!(at("other", "old", "y"), Caller::BadCredentials);
        assert_eq!(
            at("other", PUSH_USER, PUSH_PASSWORD),
            Caller::User(Access::Write)
        );
    }

    #[test]
    fn tokens_are_judged_at_each_use() {
        let state = State::default();
        let shop: Repository = "acme/shop".parse().unwrap();
        let other: Repository = "acme/other".parse().unwrap();
        let now = Instant::now();
        let old = now
            .checked_sub(TOKEN_LIFE + Duration::from_millis(1))
            .unwrap();
        state.give("old".into(), None, vec![shop.clone()], old);
        state.give("anon".into(), None, vec![shop.clone()], now);
        state.give(
            "bot".into(),
            Some(("bot".into(), "x".into())),
            vec![shop.clone()],
            now,
        );
        let caller = |repository: &Repository, secret: &str| {
            state
                .caller(Some(repository), &Credentials::Bearer(secret.into()))
                .0
        };
        assert_eq!(caller(&shop, "anon"), Caller::Anonymous);
        assert_eq!(caller(&other, "anon"), Caller::NoToken);
        assert_eq!(caller(&shop, "made-up"), Caller::BadToken);
        assert_eq!(caller(&shop, "old"), Caller::OldToken);
        assert_eq!(
            caller(&shop, "bot"),
            Caller::BadCredentials,
            "revoked meanwhile"
        );
        state.set_policy("acme", Policy::public().user("bot", "x", Access::Read));
        assert_eq!(caller(&other, "bot"), Caller::User(Access::Read));
        assert_eq!(state.caller(None, &Credentials::None).0, Caller::NoToken);
    }

    #[test]
    fn what_was_asked_is_kept_per_owner() {
        let state = State::default();
        let asked = Asked {
            method: "GET".into(),
            path: "/v2/acme/shop/manifests/1".into(),
            kind: Kind::Manifest,
            package: "shop".into(),
            user: None,
            status: None,
        };
        let entry = state.note("acme", asked.clone());
        state.note_status(&entry, 404);
        assert_eq!(
            state.asked("acme"),
            vec![Asked {
                status: Some(404),
                ..asked
            }]
        );
        assert!(state.asked("other").is_empty());
        state.forget_asked("acme");
        assert!(state.asked("acme").is_empty());
        state.note_status(&entry, 500);
    }
}
