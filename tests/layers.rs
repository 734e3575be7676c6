//! The layers of the code: who may import whom. docs/architecture.md shows the
//! same table, and the graph of what is really imported.

#![allow(clippy::expect_used)]
#![allow(
    unreachable_pub,
    reason = "modules of one binary; nobody else reads them"
)]

#[path = "layers/document.rs"]
mod document;
#[path = "layers/imports.rs"]
mod imports;
#[path = "layers/rules.rs"]
mod rules;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use imports::{Crate, Files};

/// Each layer imports only from those below it, and from its neighbours one way.
/// A module without a file yet keeps its place.
const LAYERS: [&[&str]; 12] = [
    &["cli"],
    &["doctor", "install", "operate", "receive"],
    &["pipeline"],
    &["helm", "argocd"],
    &["release"],
    &["cluster", "node"],
    &["chart", "state", "token"],
    &["engine", "forward", "provenance", "report"],
    &["plan", "registry", "rollout"],
    &["event", "manifest", "signal", "process", "net", "run"],
    &["error", "host"],
    &["text", "units"],
];

static TREE: LazyLock<Crate> = LazyLock::new(|| Crate::read(&sources("src")));

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source in a folder of the tree.
fn sources(folder: &str) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                let name = path.strip_prefix(root()).expect("a path in the tree");
                files.insert(name.to_owned(), text);
            }
        }
    }
    files
}

/// A tree of a few files.
fn planted(files: &[(&str, &str)]) -> Crate {
    let files = files.iter();
    Crate::read(
        &files
            .map(|(name, text)| (PathBuf::from(name), (*text).to_owned()))
            .collect(),
    )
}

#[test]
fn every_import_leads_downwards_and_none_in_a_circle() {
    let broken = rules::broken(&TREE, &LAYERS);
    assert!(
        broken.is_empty(),
        "docs/architecture.md says who may import whom:\n{}",
        broken.join("\n")
    );
}

#[test]
fn every_source_is_read() {
    let files = sources("src");
    let tree = &TREE;
    let of_tests = |path: &Path| {
        path.components().any(|part| part.as_os_str() == "tests")
            || path.file_stem().is_some_and(|stem| {
                let stem = stem.to_string_lossy();
                stem == "tests" || stem.ends_with("_tests")
            })
    };
    let main = Path::new("src/main.rs");
    let left: Vec<&PathBuf> = files
        .keys()
        .filter(|path| !tree.read.contains(*path) && !of_tests(path) && *path != main)
        .collect();
    assert!(left.is_empty(), "no module leads to {left:?}");
    let tests: Vec<&PathBuf> = tree.read.iter().filter(|path| of_tests(path)).collect();
    assert!(tests.is_empty(), "read, though it is a test: {tests:?}");
}

/// Each way to write an import upwards, and what is said of it.
#[test]
fn an_import_upwards_is_named_with_its_file() {
    for written in [
        "use crate::node::Plan;",
        "use crate::{error, node::Plan};",
        "use super::super::node::{self, Plan};",
        "use crate::node as other;",
        "pub use crate::node::*;",
        "fn f() -> crate::node::Plan { loop {} }",
        "fn f() { crate::node::plan(); }",
        "fn f() { println!(\"{}\", 1 + crate::node::plan()); }",
        "fn f() { use crate::node; node::plan(); }",
        "impl From<crate::node::Plan> for u8 {}",
        "#[serde(default = crate::node::plan)] struct S;",
        "fn f(plan: u8) { match plan { crate::node::LIMIT => {} } }",
        "use crate::Plan;",
        "use super::Plan;",
        "mod inner { use super::super::Plan; }",
    ] {
        let tree = planted(&[
            (
                "src/lib.rs",
                "mod error; mod node; mod state; pub use node::Plan;",
            ),
            ("src/error.rs", ""),
            ("src/node.rs", "use crate::state::lock; use crate::error;"),
            (
                "src/state/mod.rs",
                "mod lock; use crate::node::Plan; // the next line is the one",
            ),
            ("src/state/lock.rs", &format!("\n{written}")),
        ]);
        let broken = rules::broken(&tree, &[&["node"], &["state"], &["error"]]).join("\n");
        let expected = "src/state/lock.rs:2: state -> node, which is above it";
        assert!(broken.contains(expected), "{written}:\n{broken}");
    }
}

#[test]
fn what_only_tests_import_does_not_count() {
    let tree = planted(&[
        ("src/lib.rs", "mod node; mod state;"),
        ("src/node.rs", ""),
        (
            "src/state.rs",
            "//! [`crate::node`] is above.
            use std::fmt; use ::node::Plan;
            #[cfg(test)] mod tests;
            #[cfg(test)] mod more { use crate::node; }
            #[cfg(test)] use crate::node;
            impl S { #[cfg(test)] fn f() { crate::node::plan() } }
            /// [`crate::node`]
            fn f() { let node = \"crate::node\"; node.len(); other::node(); }",
        ),
    ]);
    assert_eq!(
        rules::broken(&tree, &[&["node"], &["state"]]),
        Vec::<String>::new()
    );
}

#[test]
fn neighbours_import_each_other_one_way() {
    let files = |back: &'static str| {
        [
            ("src/lib.rs", "mod a; mod b; mod c;"),
            ("src/a.rs", "use crate::b::B;"),
            ("src/b.rs", "use crate::c::C;"),
            ("src/c.rs", back),
        ]
    };
    let layers: [&[&str]; 1] = [&["a", "b", "c"]];
    let good = rules::broken(&planted(&files("")), &layers);
    assert!(good.is_empty(), "{good:?}");
    assert_eq!(
        rules::broken(&planted(&files("\nuse crate::a::A;")), &layers),
        [concat!(
            "src: a, b, c import each other in a circle\n",
            "  src/a.rs:1: a -> b\n",
            "  src/b.rs:1: b -> c\n",
            "  src/c.rs:2: c -> a",
        )]
    );
}

/// A circle among the children is found at any depth, also where it goes
/// through a name that the parent passes on; a parent and its children use each
/// other as they like.
#[test]
fn children_import_each_other_one_way() {
    let tree = planted(&[
        ("src/lib.rs", "mod top;"),
        (
            "src/top/mod.rs",
            "mod one; mod two; mod three; pub use two::Two; struct Own; fn f() { three::f() }",
        ),
        ("src/top/one.rs", "use super::Two;"),
        ("src/top/two.rs", "use super::one::One;"),
        (
            "src/top/three/mod.rs",
            "mod x; mod y; use super::Own; fn f() {}",
        ),
        ("src/top/three/x.rs", "use super::y::Y;"),
        ("src/top/three/y.rs", "fn f() { super::x::f() }"),
    ]);
    assert_eq!(
        rules::broken(&tree, &[&["top"]]),
        [
            concat!(
                "src/top: one, two import each other in a circle\n",
                "  src/top/one.rs:1: one -> two\n",
                "  src/top/two.rs:1: two -> one",
            ),
            concat!(
                "src/top/three: x, y import each other in a circle\n",
                "  src/top/three/x.rs:1: x -> y\n",
                "  src/top/three/y.rs:1: y -> x",
            ),
        ]
    );
}

#[test]
fn a_top_module_has_one_place() {
    let tree = planted(&[
        ("src/lib.rs", "mod a; mod b;"),
        ("src/a.rs", ""),
        ("src/b.rs", ""),
    ]);
    assert_eq!(
        rules::broken(&tree, &[&["a"], &["a"]]),
        [
            "src/a: stands in more than one layer; its place is a row of LAYERS in tests/layers.rs",
            "src/b: stands in no layer; its place is a row of LAYERS in tests/layers.rs",
        ]
    );
}

/// Who calls a module from outside of it.
fn callers(module: &[&str]) -> Vec<String> {
    let is_within = |path: &[String]| path.iter().take(module.len()).eq(module.iter());
    let imports = TREE.imports.iter();
    let from = imports.filter(|import| is_within(&import.to) && !is_within(&import.from));
    let names: BTreeSet<String> = from.map(|import| import.from.join("::")).collect();
    names.into_iter().collect()
}

/// A deploy with Helm, and the way to it, calls nothing of Argo CD: only what a plan leads to
/// that names one does.
#[test]
fn argo_cd_is_called_where_the_plan_names_it_alone() {
    let waves = [
        "pipeline::waves",
        "pipeline::waves::argocd",
        "pipeline::waves::prove",
    ];
    assert_eq!(
        callers(&["argocd"]),
        [&["cli::status", "doctor::fleet"][..], &waves].concat()
    );
    assert_eq!(
        callers(&["pipeline", "waves"]),
        ["cli::rollback", "pipeline"]
    );
}

#[test]
fn the_document_shows_the_code() {
    document::matches(&root().join("docs/architecture.md"), &TREE, &LAYERS);
}

#[test]
fn the_document_describes_each_top_module() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("the document");
    let mut described = document::described(&text);
    described.sort_unstable();
    let there: Vec<&str> = rules::top_modules(&TREE).into_iter().collect();
    assert_eq!(described, there, "the table under \"The modules\"");
}

/// The document's last column names tests, wherever they stand.
#[test]
fn the_tests_that_guard_a_task_are_there() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("the document");
    let guards = document::guards(&text);
    assert!(guards.len() > 12, "the tests are not found any more");
    let sources: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| sources(folder).into_values())
        .collect();
    for guard in guards {
        let written = format!("fn {guard}(");
        assert!(sources.contains(&written), "no test is called {guard}");
    }
}

#[test]
fn links_in_the_document_lead_somewhere() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("the document");
    let links = document::links(&text);
    assert!(links.len() > 10, "the links are not found any more");
    for link in links {
        let path = root().join("docs").join(link);
        assert!(path.exists(), "docs/architecture.md links to {link}");
    }
}
