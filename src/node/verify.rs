//! What chart and images are proven with: the key of its file, or a workflow with the
//! trusted roots of theirs. Only root and the caller may write these files: whoever can
//! change them decides what may run.

use std::path::Path;

use super::config::Verifying;
use super::file_permissions;
use super::locate;
use super::machine::Node;
use crate::error::{Error, Kind, Result};
use crate::plan::{TrustedRootFile, Verify, VerifyingKey, WorkflowPolicy};
use crate::text;

/// Its name, beside deploy.toml.
const TRUSTED_ROOT: &str = "trusted_root.jsonl";

/// What the setting asks for. Errors are [`Kind::Node`].
pub(super) fn of(node: &Node, setting: Option<&Verifying>) -> Result<Option<Verify>> {
    match setting {
        None | Some(Verifying::Off) => Ok(None),
        Some(Verifying::Key(file)) => key(node, file).map(Some),
        Some(Verifying::Workflow(attesting)) => {
            let attesting = (**attesting).clone();
            Ok(Some(Verify::Workflow(Box::new(WorkflowPolicy {
                workflow: attesting.workflow,
                signer: attesting.signer,
                refs: attesting.refs,
                repository_id: attesting.repository_id,
                owner_id: attesting.owner_id,
                trusted_root: trusted_root(node)?,
            }))))
        }
    }
}

fn key(node: &Node, file: &Path) -> Result<Verify> {
    let what = "the key file";
    let content = file_permissions::read(file, what, node.caller())?;
    let key = content.parse::<VerifyingKey>().map_err(|expected| {
        let file = text::line(&file.to_string_lossy(), text::LINE).into_owned();
        let message = format!("{what} {file} holds no key for verify, expected {expected}");
        Error::new(Kind::Node, message)
            .hint("write the public key into it: cosign public-key --key …")
    })?;
    Ok(Verify::Key(key))
}

/// The file of trusted roots, where there is one.
fn trusted_root(node: &Node) -> Result<Option<TrustedRootFile>> {
    let directory = node.file.as_deref().and_then(Path::parent);
    let Some(path) = directory.map(|directory| directory.join(TRUSTED_ROOT)) else {
        return Ok(None);
    };
    if !locate::is_there(&path)? {
        return Ok(None);
    }
    let content = file_permissions::read(&path, "the trusted root", node.caller())?;
    Ok(Some(TrustedRootFile { path, content }))
}
