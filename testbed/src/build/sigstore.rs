//! Programs of Sigstore's: who issues certificates to jobs, and who signs images. Built
//! on first use: only the tests of proofs of origin need them.

use std::path::PathBuf;

use anyhow::Result;

use super::{Cache, GoProgram};
use crate::progress::Progress;

/// Fulcio, the authority that issues certificates for tokens of OIDC.
pub fn fulcio(cache: &Cache, progress: Progress) -> Result<PathBuf> {
    Ok(FULCIO.build(cache, progress)?.join(FULCIO.program))
}

/// cosign 2 and cosign 3.
pub fn cosign(cache: &Cache, progress: Progress) -> Result<[PathBuf; 2]> {
    let program = |program: GoProgram| -> Result<PathBuf> {
        Ok(program.build(cache, progress)?.join(program.program))
    };
    Ok([program(COSIGN2)?, program(COSIGN3)?])
}

const FULCIO: GoProgram = GoProgram {
    name: "fulcio",
    version: "v1.8.8",
    estimate: "about 2 minutes on two cores",
    files: &[
        ("go.mod", include_str!("../../go/fulcio/go.mod")),
        ("go.sum", include_str!("../../go/fulcio/go.sum")),
    ],
    package: "github.com/sigstore/fulcio",
    stamps: &[],
    program: "fulcio",
    links: &[],
    architecture: "",
};

const COSIGN2: GoProgram = GoProgram {
    name: "cosign2",
    version: "v2.6.5",
    estimate: "about 3 minutes on two cores",
    files: &[
        ("go.mod", include_str!("../../go/cosign2/go.mod")),
        ("go.sum", include_str!("../../go/cosign2/go.sum")),
    ],
    package: "github.com/sigstore/cosign/v2/cmd/cosign",
    stamps: &[],
    program: "cosign",
    links: &[],
    architecture: "",
};

const COSIGN3: GoProgram = GoProgram {
    name: "cosign3",
    version: "v3.1.3",
    estimate: "about 3 minutes on two cores",
    files: &[
        ("go.mod", include_str!("../../go/cosign3/go.mod")),
        ("go.sum", include_str!("../../go/cosign3/go.sum")),
    ],
    package: "github.com/sigstore/cosign/v3/cmd/cosign",
    stamps: &[],
    program: "cosign",
    links: &[],
    architecture: "",
};
