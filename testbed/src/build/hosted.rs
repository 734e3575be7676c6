//! What a hosted runner has and this machine may not: a builder of images, and
//! `act`, which runs workflows. Built on first use: only the tests of the hosted
//! half need them.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::run::tool;
use super::{Cache, GoProgram, go};
use crate::progress::Progress;

/// The programs, once they are built.
#[derive(Debug, Clone)]
pub struct Hosted {
    /// `BuildKit`'s daemon. It needs runc on its PATH.
    pub buildkitd: PathBuf,
    /// buildx, the client that `docker buildx` runs.
    pub buildx: PathBuf,
    /// act.
    pub act: PathBuf,
    /// The folder of a whole Go toolchain.
    pub go: PathBuf,
}

/// Finds them in the cache; what is missing is built.
pub fn hosted(cache: &Cache, progress: Progress) -> Result<Hosted> {
    let program = |program: GoProgram| -> Result<PathBuf> {
        Ok(program.build(cache, progress)?.join(program.program))
    };
    Ok(Hosted {
        go: go_root(cache, progress)?,
        act: program(ACT)?,
        buildkitd: program(BUILDKIT)?,
        buildx: program(BUILDX)?,
    })
}

pub(super) fn go_root(cache: &Cache, progress: Progress) -> Result<PathBuf> {
    let asked = tool(go::toolchain(cache, progress)?)
        .args(["env", "GOROOT"])
        .env("GOTOOLCHAIN", "local")
        .output()
        .context("go cannot be run")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
    ensure!(
        folder.join("bin/go").is_file(),
        "go says that it lies in {}, where bin/go is not",
        folder.display()
    );
    Ok(folder)
}

const BUILDKIT: GoProgram = GoProgram {
    name: "buildkit",
    version: "v0.32.0",
    estimate: "about 3 minutes on two cores",
    files: &[
        ("go.mod", include_str!("../../go/buildkit/go.mod")),
        ("go.sum", include_str!("../../go/buildkit/go.sum")),
    ],
    package: "github.com/moby/buildkit/cmd/buildkitd",
    stamps: &[],
    program: "buildkitd",
    links: &[],
    architecture: "",
};

const BUILDX: GoProgram = GoProgram {
    name: "buildx",
    version: "v0.36.0",
    estimate: "about 3 minutes on two cores",
    files: &[
        ("go.mod", include_str!("../../go/buildx/go.mod")),
        ("go.sum", include_str!("../../go/buildx/go.sum")),
    ],
    package: "github.com/docker/buildx/cmd/buildx",
    stamps: &[],
    program: "docker-buildx",
    links: &[],
    architecture: "",
};

const ACT: GoProgram = GoProgram {
    name: "act",
    version: "v0.2.89",
    estimate: "about 2 minutes on two cores",
    files: &[
        ("go.mod", include_str!("../../go/act/go.mod")),
        ("go.sum", include_str!("../../go/act/go.sum")),
    ],
    package: "github.com/nektos/act",
    stamps: &[],
    program: "act",
    links: &[],
    architecture: "",
};
