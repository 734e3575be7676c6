//! The table `[receive]` of receive.toml: who may send signals to `deploy receive`.

use std::str::FromStr;

use super::reader::{Mistake, Table};

/// Who may send, and what becomes of a deploy whose client is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receive {
    /// Users by name or number. Root always may.
    pub allow_users: Vec<Account>,
    /// Groups by name or number.
    pub allow_groups: Vec<Account>,
    /// What becomes of a deploy whose client is gone.
    pub on_disconnect: OnDisconnect,
}

/// A user or a group as it is written: by name, or by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account(String);

impl Account {
    /// What is expected of one.
    pub const EXPECTED: &str = "the name of a user or a group";

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Account {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$@".contains(&byte);
        if text.is_empty() || text.len() > 256 || !text.bytes().all(plain) {
            return Err(Self::EXPECTED);
        }
        Ok(Self(text.to_owned()))
    }
}

/// What becomes of a deploy whose client is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisconnect {
    /// It goes on; the journal tells how it ended.
    #[default]
    Continue,
    /// It is cancelled, as by SIGTERM.
    Cancel,
}

impl OnDisconnect {
    const EXPECTED: &str = "\"continue\" or \"cancel\"";
}

impl FromStr for OnDisconnect {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "continue" => Ok(Self::Continue),
            "cancel" => Ok(Self::Cancel),
            _ => Err(Self::EXPECTED),
        }
    }
}

pub(super) fn read(mut table: Table<'_>, mistakes: &mut Vec<Mistake>) -> Receive {
    let receive = Receive {
        allow_users: table
            .list("allow_users", Account::EXPECTED, mistakes)
            .unwrap_or_default(),
        allow_groups: table
            .list("allow_groups", Account::EXPECTED, mistakes)
            .unwrap_or_default(),
        on_disconnect: table
            .text("on_disconnect", OnDisconnect::EXPECTED, mistakes)
            .unwrap_or_default(),
    };
    table.finish(mistakes);
    receive
}
