//! Stands in for GitHub's API, as far as the hosted half asks it: the branches of
//! a repository, whether a commit is on one, and where a branch is. It answers
//! from a git directory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Serves for as long as this process lives.
pub struct Github {
    pub url: String,
}

impl Github {
    /// Of these branches it says that they are protected.
    pub fn of(repository: PathBuf, protected: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let protected: Vec<String> = protected.iter().map(|name| (*name).to_owned()).collect();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&stream.unwrap(), &repository, &protected);
            }
        });
        Self { url }
    }
}

fn serve(mut stream: &TcpStream, repository: &Path, protected: &[String]) {
    let lines: Vec<String> = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let signed = lines
        .iter()
        .any(|line| line.to_lowercase().starts_with("authorization: bearer "));
    let path = lines.first().and_then(|line| line.split(' ').nth(1));
    let found = path
        .filter(|_| signed)
        .and_then(|path| answer(repository, path, protected));
    let (status, body) = found.map_or(("404 Not Found", json!({})), |body| ("200 OK", body));
    let body = serde_json::to_string_pretty(&body).unwrap();
    let length = body.len();
    // A client that goes away has seen enough.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
}

fn answer(repository: &Path, path: &str, protected: &[String]) -> Option<Value> {
    let mut parts = path.strip_prefix("/repos/")?.splitn(3, '/');
    let asked = parts.nth(2)?;
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
