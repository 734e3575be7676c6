//! What chart and images are proven with, with the key of its file. Only root and
//! the caller may write that file: whoever can change it decides what may run.

use super::config::Verifying;
use super::file_permissions;
use super::machine::Node;
use crate::error::{Error, Kind, Result};
use crate::plan::{Verify, VerifyingKey};
use crate::text;

/// What the setting asks for. Errors are [`Kind::Node`].
pub(super) fn of(node: &Node, setting: Option<&Verifying>) -> Result<Option<Verify>> {
    let Some(Verifying::Key(file)) = setting else {
        return Ok(None);
    };
    let what = "the key file";
    let content = file_permissions::read(file, what, node.caller())?;
    let key = content.parse::<VerifyingKey>().map_err(|expected| {
        let file = text::line(&file.to_string_lossy(), text::LINE).into_owned();
        let message = format!("{what} {file} holds no key for verify, expected {expected}");
        Error::new(Kind::Node, message)
            .hint("write the public key into it: cosign public-key --key …")
    })?;
    Ok(Some(Verify::Key(key)))
}
