//! docs/troubleshooting.md quotes messages. Each is one that the program can
//! print: its words stand in the sources.

use std::collections::BTreeSet;
use std::fs;

use syn::visit::{Visit, visit_item_fn, visit_item_mod};

use crate::markdown::{read, sources};
use crate::root;

/// What stands for a name or value in a quoted message.
const ANYTHING: char = '…';

/// The texts of the sources, the tests' own left out. What a text takes in
/// (`{name}`) is [`ANYTHING`].
#[derive(Default)]
struct Texts(BTreeSet<String>);

impl Texts {
    fn of_program() -> Self {
        let mut texts = Self::default();
        for path in sources(&root().join("src")) {
            let name = path.to_string_lossy();
            if name.contains("/tests") || name.ends_with("tests.rs") {
                continue;
            }
            let source = fs::read_to_string(&path).expect("a source");
            let file = syn::parse_file(&source).expect("Rust");
            texts.visit_file(&file);
        }
        texts
    }

    fn add(&mut self, text: &str) {
        let mut plain = String::with_capacity(text.len());
        let mut depth = 0;
        for character in text.chars() {
            match character {
                '{' if depth == 0 => {
                    plain.push(ANYTHING);
                    depth = 1;
                }
                '{' => depth += 1,
                '}' => depth -= i32::from(depth > 0),
                other if depth == 0 => plain.push(other),
                _ => {}
            }
        }
        self.0.insert(plain);
    }

    fn hold(&self, piece: &str) -> bool {
        self.0.iter().any(|text| text.contains(piece))
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let cfg = attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test");
        cfg || attribute.path().is_ident("test")
    })
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit_item_fn(self, item);
        }
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.add(&text.value());
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        literals(call.tokens.clone(), self);
    }

    // A doc comment is no text of the program.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

/// The arguments of a macro are tokens, whatever they mean.
fn literals(tokens: proc_macro2::TokenStream, texts: &mut Texts) {
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Group(group) => literals(group.stream(), texts),
            proc_macro2::TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    texts.add(&text.value());
                }
            }
            _ => {}
        }
    }
}

/// Words that helm says and `deploy` passes on as they came.
const OF_HELM: [&str; 1] = ["chart requires kubeVersion: "];

/// A changed message changes its entry.
#[test]
fn every_quoted_message_is_printed() {
    let texts = Texts::of_program();
    assert!(texts.0.len() > 1000, "{}", texts.0.len());
    let page = read(root(), "docs/troubleshooting.md");
    let quoted = page
        .lines()
        .filter_map(|line| line.strip_prefix("> `")?.strip_suffix('`'));
    let mut missing = Vec::new();
    let mut count = 0;
    for message in quoted {
        count += 1;
        // Made of what a flag says of itself: tests/cli tries each.
        if message.starts_with("invalid request: ") {
            continue;
        }
        let pieces = message.split(ANYTHING);
        // A comma or a colon alone says nothing.
        for piece in pieces.filter(|piece| piece.chars().any(char::is_alphabetic)) {
            let is_there = texts.hold(piece.trim_start_matches(": ").trim());
            if !is_there && !OF_HELM.contains(&piece) {
                missing.push(format!("{piece:?} of {message:?}"));
            }
        }
    }
    assert!(count > 100, "{count}");
    assert!(
        missing.is_empty(),
        "nothing prints:\n{}",
        missing.join("\n")
    );
}
