//! The README, held against the code and against what is run: its tables say
//! what the types say, and no command in it goes untried.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use deploy::error::{Exit, Kind};
use deploy::node::Config;
use deploy::node::config::KEYS;

use crate::harness::{deploy_binary, root};

/// The languages that a fenced block may name; only `sh` holds commands.
const LANGUAGES: [&str; 4] = ["sh", "toml", "yaml", "text"];

/// The commands of the block after `<!-- test: NAME -->`.
pub(crate) fn block(name: &str) -> String {
    block_in("README.md", name)
}

/// The same of another file in the tree.
pub(crate) fn block_in(file: &str, name: &str) -> String {
    let marker = format!("<!-- test: {name} -->");
    let blocks = blocks(&read(file));
    let found = blocks.into_iter().find(|block| block.marker == marker);
    found
        .unwrap_or_else(|| panic!("{file} has no block after {marker}"))
        .text
}

/// Language and text of every block of a file.
pub(crate) fn blocks_of(file: &str) -> Vec<(String, String)> {
    let blocks = blocks(&read(file)).into_iter();
    blocks.map(|block| (block.language, block.text)).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A fenced block.
struct Block {
    /// The line before the fence.
    marker: String,
    language: String,
    text: String,
}

fn readme() -> String {
    read("README.md")
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                marker: before.to_owned(),
                language: language.to_owned(),
                text: inside.join("\n"),
            });
        }
        before = line;
    }
    blocks
}

/// The cells of the table whose first column has this heading, without the
/// heading and its rule.
fn table(text: &str, first: &str) -> Vec<Vec<String>> {
    let start = format!("| {first} |");
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    text.lines()
        .skip_while(|line| !line.starts_with(&start))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

#[test]
fn the_table_of_exit_codes_is_the_enum() {
    let said = table(&readme(), "code");
    let meant: Vec<Vec<String>> = Exit::ALL
        .iter()
        .map(|exit| {
            vec![
                exit.code().to_string(),
                exit.meaning().to_owned(),
                exit.cure().to_owned(),
            ]
        })
        .collect();
    assert_eq!(said, meant);
}

#[test]
fn the_table_of_keys_is_the_one_that_is_read() {
    // Code marks, and escapes without which a page would take <app> for a tag.
    let plain = |cell: &str| cell.replace('`', "").replace("\\<", "<");
    let said: Vec<Vec<String>> = table(&readme(), "key")
        .iter()
        .map(|row| row.iter().map(|cell| plain(cell)).collect())
        .collect();
    let meant: Vec<Vec<String>> = KEYS
        .iter()
        .map(|key| {
            [
                key.name,
                key.place.tables(),
                key.form,
                key.default,
                key.meaning,
            ]
            .map(str::to_owned)
            .to_vec()
        })
        .collect();
    assert_eq!(said, meant);
}

#[test]
fn what_is_shown_of_deploy_toml_is_read() {
    let shown: Vec<Block> = blocks(&readme())
        .into_iter()
        .filter(|block| block.language == "toml")
        .collect();
    assert!(!shown.is_empty(), "the README shows a deploy.toml");
    for block in shown {
        let read = Config::parse(&block.text, Path::new("/etc/deploy/deploy.toml"));
        assert!(read.is_ok(), "{read:?}\n{}", block.text);
    }
}

#[test]
fn every_command_is_run_by_ci_or_by_a_test() {
    let ci = fs::read_to_string(root().join(".ci/run")).expect(".ci/run can be read");
    let tests: String = sources(&root().join("tests/it"))
        .iter()
        .map(|path| fs::read_to_string(path).expect("a source can be read"))
        .collect();
    let mut commands = 0;
    for block in blocks(&readme()) {
        assert!(
            LANGUAGES.contains(&block.language.as_str()),
            "a block in {:?}: commands are in sh, the rest in one of {LANGUAGES:?}",
            block.language
        );
        if block.language != "sh" {
            continue;
        }
        commands += 1;
        let name = |kind: &str| {
            let marker = block.marker.strip_prefix(&format!("<!-- {kind}: "))?;
            marker.strip_suffix(" -->").map(str::to_owned)
        };
        if let Some(name) = name("ci") {
            assert!(
                ci.contains(&format!(".ci/readme.sh {name}\n")),
                ".ci/run does not run the block {name}"
            );
        } else if let Some(name) = name("test") {
            assert!(
                tests.contains(&format!("block(\"{name}\")")),
                "no test in tests/it takes the block {name}"
            );
        } else {
            panic!(
                "nothing runs this block; put a marker before it:\n{}",
                block.text
            );
        }
    }
    assert!(
        commands >= 4,
        "the README's commands are not found any more"
    );
}

#[test]
fn links_lead_somewhere() {
    let text = readme();
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    for target in targets.filter(|target| !target.contains("://")) {
        assert!(root().join(target).exists(), "README.md links to {target}");
    }
}

/// The contract's example is a request that `deploy` takes: on a machine
/// without helm it gets past the request and no further.
#[test]
fn the_signal_is_a_valid_request() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    // In place of one in /etc, which may list other apps.
    let configuration = scratch.path().join("deploy.toml");
    fs::write(&configuration, "").expect("a file");
    let deploy = deploy_binary().to_str().expect("a path that is text");
    let command = block("signal").replace("/home/github-runner/deploy.sh", deploy);
    let output = Command::new("/bin/sh")
        .args(["-ec", &command])
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

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of tests") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}
