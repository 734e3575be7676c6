//! What scenarios assert not to be said. Such a check fails only where the words could
//! be said, so each is held against what says them: the words of a message stand in the
//! sources, or in a check of another scenario that it is said; what must not leak is
//! handed in by the same scenario.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::markdown::sources;

/// A check `never_says(…)`: where it stands, and its argument as it is written.
struct Absence {
    file: PathBuf,
    argument: String,
}

impl Absence {
    /// The checks of a scenario's source.
    fn of(file: &Path, source: &str) -> Vec<Self> {
        let check = Regex::new(r"never_says\(([^)]*)\)").expect("a pattern");
        check
            .captures_iter(source)
            .map(|found| found[1].to_owned())
            .filter(|argument| !argument.contains("&self"))
            .map(|argument| Self {
                file: file.to_owned(),
                argument,
            })
            .collect()
    }

    /// Whether something says these words: `own` is the scenario's source, and `all`
    /// what prints messages and what checks that they are printed.
    fn can_fail(&self, own: &str, all: &str) -> bool {
        let used = |text: &str, in_it: &str| in_it.matches(text).count();
        let checks = used(&format!("never_says({})", self.argument), own);
        match self.argument.strip_prefix('"') {
            Some(quoted) => {
                let words = quoted.trim_end_matches('"');
                used(words, own) > checks || used(words, all) > 0
            }
            None => handed_in(self.argument.trim_start_matches('&'), own, checks),
        }
    }
}

/// Whether the scenario has this value besides: it is declared and handed in, or made
/// of one that is.
fn handed_in(name: &str, own: &str, checks: usize) -> bool {
    let count = |name: &str| own.matches(name).count();
    let made = Regex::new(&format!(r"let {name} = \W*(?:STANDARD.encode\(&)?(\w+)"));
    let made = made
        .expect("a pattern")
        .captures(own)
        .map(|made| made[1].to_owned());
    count(name) > checks + 1 || made.is_some_and(|of| count(&of) > 2)
}

#[test]
fn every_absence_could_be_a_presence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &PathBuf| fs::read_to_string(path).expect("a source can be read");
    let mut all: String = ["src", "hosted"]
        .iter()
        .flat_map(|folder| sources(&root.join(folder)))
        .map(|path| text(&path))
        .collect();
    let scripts = fs::read_dir(root.join("hosted")).expect("hosted/");
    let scripts = scripts.map(|entry| entry.expect("an entry").path());
    all.extend(
        scripts
            .filter(|path| path.is_file())
            .map(|path| text(&path)),
    );
    let mut absences = Vec::new();
    for file in sources(&root.join("tests/it")) {
        let source = text(&file);
        absences.extend(Absence::of(&file, &source));
    }
    assert!(absences.len() > 20, "{}", absences.len());
    // Scenarios of one folder share what they hand in.
    let own = |file: &PathBuf| match file.parent() {
        Some(folder) if !folder.ends_with("it") => sources(folder).iter().map(text).collect(),
        _ => text(file),
    };
    let vain: Vec<String> = absences
        .iter()
        .filter(|absence| !absence.can_fail(&own(&absence.file), &all))
        .map(|absence| format!("{}: {}", absence.file.display(), absence.argument))
        .collect();
    assert!(vain.is_empty(), "nothing says this:\n{}", vain.join("\n"));
}

#[test]
fn a_check_that_cannot_fail_is_found() {
    let source = r#"ran.says("a").never_says("gone").never_says(SECRET).never_says(TOKEN);
        const SECRET: &str = "s"; let TOKEN = "t"; hand_in(TOKEN);"#;
    let absences = Absence::of(Path::new("a.rs"), source);
    let can_fail = absences.iter().map(|one| one.can_fail(source, "is new"));
    assert_eq!(can_fail.collect::<Vec<_>>(), [false, false, true]);
}
