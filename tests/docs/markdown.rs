//! Reads these pages: their blocks, tables, links and headings. For whoever
//! includes it; the tests of the testbed do, too.

use std::fs;
use std::path::{Path, PathBuf};

/// The README and every page of docs/, by their paths in the tree.
pub fn pages(root: &Path) -> Vec<String> {
    let folder = fs::read_dir(root.join("docs")).expect("docs/");
    let mut pages: Vec<String> = folder
        .map(|entry| entry.expect("an entry").file_name())
        .filter_map(|name| name.into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    let beside = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    pages.extend(beside.map(str::to_owned));
    pages.sort();
    pages
}

pub fn read(root: &Path, page: &str) -> String {
    fs::read_to_string(root.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// A fenced block.
pub struct Block {
    /// The line before the fence.
    pub marker: String,
    pub language: String,
    pub text: String,
}

impl Block {
    /// What stands in its marker `<!-- kind: … -->`.
    pub fn marked(&self, kind: &str) -> Option<&str> {
        let marker = self.marker.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
        marker.strip_prefix(kind)?.strip_prefix(": ")
    }
}

pub fn blocks(text: &str) -> Vec<Block> {
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
pub fn table(text: &str, first: &str) -> Vec<Vec<String>> {
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

/// The text without its blocks: what looks like a link there is none.
pub fn prose(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where its links lead.
pub fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split(')').next())
        .map(str::to_owned)
        .collect()
}

/// The anchors of its headings, as GitHub and mdBook make them.
pub fn anchors(text: &str) -> Vec<String> {
    let prose = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            words
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// Every source file below a folder.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}
