//! What a testbed of more than one cluster needs beside the rest: Argo CD, its kinds, and redis.
//! Built on first use: only the tests of such a testbed need them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{Cache, GoProgram, debian};
use crate::progress::Progress;

/// The version of Argo CD. The next one does not compile as a module.
pub const ARGO_CD: &str = "v3.2.11";

/// Argo CD and what it needs, once they are built.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fleet {
    /// Folder with argocd, argocd-application-controller and argocd-repo-server.
    pub argocd: PathBuf,
    /// Folder with the definitions of its kinds.
    pub kinds: PathBuf,
    /// Folder with redis-server.
    pub redis: PathBuf,
    /// Folders with libraries that redis-server needs and the machine does not have.
    pub libraries: Vec<PathBuf>,
}

/// Finds them in the cache; what is missing is built.
pub fn fleet(cache: &Cache, progress: Progress) -> Result<Fleet> {
    let (redis, libraries) = debian::redis(cache, progress)?;
    Ok(Fleet {
        redis,
        libraries,
        argocd: PROGRAM.build(cache, progress)?,
        kinds: kinds(cache, progress)?,
    })
}

/// The definitions, out of the module's sources.
fn kinds(cache: &Cache, progress: Progress) -> Result<PathBuf> {
    cache.artefact("argocd-kinds", ARGO_CD, progress, |folder| {
        let module = PROGRAM.module("github.com/argoproj/argo-cd/v3", cache, progress)?;
        for kind in ["application", "appproject", "applicationset"] {
            let name = format!("{kind}-crd.yaml");
            let file = module.join("manifests/crds").join(&name);
            ensure!(file.is_file(), "{} is not there", file.display());
            // Not a copy of the file: the module's files are read-only.
            fs::write(folder.join(name), fs::read(file)?)?;
        }
        Ok(())
    })
}

const PROGRAM: GoProgram = GoProgram {
    name: "argocd",
    version: ARGO_CD,
    estimate: "about 5 minutes on two cores",
    files: &[
        ("go.mod", include_str!("../../go/argocd/go.mod")),
        ("go.sum", include_str!("../../go/argocd/go.sum")),
    ],
    package: "github.com/argoproj/argo-cd/v3/cmd",
    stamps: &[
        ("github.com/argoproj/argo-cd/v3/common.version", "3.2.11"),
        (
            "github.com/argoproj/argo-cd/v3/common.gitTreeState",
            "clean",
        ),
    ],
    program: "argocd",
    links: &["argocd-application-controller", "argocd-repo-server"],
    architecture: "",
};
