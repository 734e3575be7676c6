//! The README and docs/, held against the code: what they say of it is so, no
//! command in them goes untried, and every link leads somewhere. Runs anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "docs/absences.rs"]
mod absences;
#[allow(unreachable_pub, reason = "others include it, too")]
#[path = "docs/markdown.rs"]
mod markdown;
#[path = "docs/messages.rs"]
mod messages;
#[path = "docs/tables.rs"]
mod tables;

use std::fs;
use std::path::Path;
use std::process::Command;

use deploy::error::{Exit, Kind};
use deploy::node::Config;

use markdown::{anchors, blocks, links, pages, read, sources};

/// The languages that a fenced block may name; only `sh` holds commands.
const LANGUAGES: [&str; 7] = ["sh", "toml", "yaml", "text", "json", "jsonl", "mermaid"];

/// The page without an end of its own: what mdBook reads.
const ENDLESS: &str = "docs/SUMMARY.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A reader's patience.
#[test]
fn the_readme_is_short() {
    let lines = read(root(), "README.md").lines().count();
    assert!(lines <= 160, "{lines} lines");
}

#[test]
fn every_command_is_run_or_says_why_not() {
    let ci = read(root(), ".ci/run");
    let tests: String = ["tests", "testbed/tests"]
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .map(|path| fs::read_to_string(path).expect("a source can be read"))
        .collect();
    let mut run = 0;
    let mut names = Vec::new();
    for page in pages(root()) {
        for block in blocks(&read(root(), &page)) {
            let language = block.language.as_str();
            assert!(LANGUAGES.contains(&language), "{page}: in {language:?}");
            let name = block.marked("ci").or_else(|| block.marked("test"));
            names.extend(name.map(str::to_owned));
            if language != "sh" {
                continue;
            }
            run += usize::from(name.is_some());
            if let Some(name) = block.marked("ci") {
                let called = format!(".ci/readme.sh {name}\n");
                assert!(ci.contains(&called), "{page}: .ci/run does not run {name}");
            } else if let Some(name) = block.marked("test") {
                let taken = [
                    format!("block(\"{name}\")"),
                    // A page whose test goes through its blocks by name.
                    format!("\"{name}\""),
                ];
                assert!(
                    taken.iter().any(|taken| tests.contains(taken)),
                    "{page}: no test takes the block {name}"
                );
            } else {
                let reason = block.marked("not run here").unwrap_or_default();
                assert!(
                    reason.len() > 10,
                    "{page}: nothing runs this block; put a marker before it:\n{}",
                    block.text
                );
            }
        }
    }
    assert!(run >= 8, "the commands are not found any more: {run}");
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "a name is given twice: {names:?}");
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for page in pages(root()) {
        let text = read(root(), &page);
        let folder = Path::new(&page).parent().unwrap();
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() {
                root().join(&page)
            } else {
                root().join(folder).join(file)
            };
            // The book's own list names what stands beside docs/ as the book has it.
            let path = match page.as_str() {
                "docs/SUMMARY.md" if !path.exists() => root().join(file),
                _ => path,
            };
            assert!(path.exists(), "{page} links to {link}");
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&path).unwrap());
                assert!(
                    there.iter().any(|it| it == anchor),
                    "{page} links to {link}: {there:?}"
                );
            }
        }
    }
    assert!(seen > 60, "the links are not found any more: {seen}");
}

/// Every page is in the book, and ends with where to go on.
#[test]
fn every_page_leads_on() {
    let book = links(&read(root(), "docs/SUMMARY.md"));
    for page in pages(root()) {
        let name = page.strip_prefix("docs/").unwrap_or(&page);
        let listed = book.iter().any(|link| link == name);
        assert!(
            // The book has a page security.md already.
            listed || matches!(name, "SUMMARY.md" | "SECURITY.md"),
            "{page} is not in docs/SUMMARY.md"
        );
        if !page.starts_with("docs/") || page == ENDLESS {
            continue;
        }
        let text = read(root(), &page);
        let end = text.rsplit("\n## ").next().unwrap();
        assert!(
            end.starts_with("What to read next\n") && !links(end).is_empty(),
            "{page} does not end with what to read next"
        );
    }
}

#[test]
fn what_is_shown_of_deploy_toml_is_read() {
    let mut shown = 0;
    for page in pages(root()) {
        let blocks = blocks(&read(root(), &page));
        for block in blocks.iter().filter(|block| block.language == "toml") {
            shown += 1;
            let read = Config::parse(&block.text, Path::new("/etc/deploy/deploy.toml"));
            assert!(read.is_ok(), "{page}: {read:?}\n{}", block.text);
        }
    }
    assert!(shown >= 3, "{shown}");
}

/// The contract's example is a request that `deploy` takes: on a machine
/// without helm it gets past the request and no further.
#[test]
fn the_signal_is_a_valid_request() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    // In place of one in /etc, which may list other apps.
    let configuration = scratch.path().join("deploy.toml");
    fs::write(&configuration, "").expect("a file");
    let deploy = assert_cmd::cargo::cargo_bin("deploy");
    let deploy = deploy.to_str().expect("a path that is text");
    let readme = blocks(&read(root(), "README.md"));
    let signal = readme
        .iter()
        .find(|block| block.marked("test") == Some("signal"));
    let command = &signal.expect("the contract's example").text;
    let output = Command::new("/bin/sh")
        .args([
            "-ec",
            &command.replace("/home/github-runner/deploy.sh", deploy),
        ])
        .env_clear()
        .env("PATH", scratch.path())
        .env("HOME", scratch.path())
        .env("DEPLOY_CONFIG", &configuration)
        .env("DEPLOY_STATE_DIR", scratch.path())
        .current_dir(scratch.path())
        .output()
        .expect("a shell");
    assert_eq!(
        output.status.code(),
        Some(i32::from(Exit::Failed(Kind::Node).code())),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
