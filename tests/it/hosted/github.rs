//! Stands in for GitHub's API, as far as the hosted half asks it: the branches of
//! a repository, whether a commit is on one, and where a branch is; and former runs
//! with what they have left. It answers from a git directory and a folder of answers.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::web::{self, Answer};

/// Serves for as long as this process lives.
pub struct Github {
    pub url: String,
}

impl Github {
    /// Of these branches it says that they are protected.
    pub fn of(repository: PathBuf, protected: &[&str]) -> Self {
        Self::with_runs(repository, protected, PathBuf::new())
    }

    /// And of former runs what [`former_run`] has written into a folder.
    pub fn with_runs(repository: PathBuf, protected: &[&str], runs: PathBuf) -> Self {
        let protected: Vec<String> = protected.iter().map(|name| (*name).to_owned()).collect();
        let address = web::serve(move |request| {
            let found = request
                .header("authorization")
                .filter(|value| value.starts_with("Bearer "))
                .and_then(|_| answer(&repository, &request.path, &protected, &runs));
            match found {
                Some(body) => Answer::new("200 OK", serde_json::to_string_pretty(&body).unwrap()),
                None => Answer::new("404 Not Found", "{}"),
            }
        });
        let url = format!("http://{address}");
        Self { url }
    }
}

/// Writes what GitHub says of the former run `id` and of its one artifact.
pub fn former_run(folder: &Path, id: &str, run: &Value, artifact: &Value) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(id), run.to_string()).unwrap();
    let artifacts = json!({ "total_count": 1, "artifacts": [artifact] });
    std::fs::write(
        folder.join(format!("{id}-artifacts")),
        artifacts.to_string(),
    )
    .unwrap();
}

fn answer(repository: &Path, path: &str, protected: &[String], runs: &Path) -> Option<Value> {
    let mut parts = path.strip_prefix("/repos/")?.splitn(3, '/');
    let asked = parts.nth(2)?;
    if let Some(run) = asked.strip_prefix("actions/runs/") {
        let name = run.split('?').next()?.replace('/', "-");
        let kept = std::fs::read(runs.join(name)).ok()?;
        return serde_json::from_slice(&kept).ok();
    }
    if let Some(branch) = asked.strip_prefix("git/ref/heads/") {
        let name = format!("refs/heads/{branch}");
        let sha = git(repository, &["rev-parse", "--verify", &name])?;
        return Some(json!({ "ref": name, "object": { "type": "commit", "sha": sha } }));
    }
    if let Some(range) = asked.strip_prefix("compare/") {
        let (base, head) = range.split('?').next()?.split_once("...")?;
        let is_on = git(repository, &["merge-base", "--is-ancestor", head, base]).is_some();
        return Some(json!({ "status": if is_on { "behind" } else { "diverged" } }));
    }
    if !asked.starts_with("branches?") {
        return None;
    }
    if !asked.ends_with("page=1") {
        return Some(json!([]));
    }
    let format = "--format=%(objectname) %(refname:lstrip=2)";
    let all = git(repository, &["for-each-ref", format, "refs/heads"])?;
    let branches = all.lines().filter_map(|line| line.split_once(' '));
    Some(
        branches
            .map(|(sha, name)| {
                let kept = protected.iter().any(|protected| protected == name);
                json!({ "name": name, "protected": kept, "commit": { "sha": sha } })
            })
            .collect(),
    )
}

fn git(repository: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "--git-dir"])
        .arg(repository)
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    output.status.success().then_some(said)
}
