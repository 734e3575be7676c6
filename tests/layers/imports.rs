//! Every path in the code that leads into another module of the crate.
//!
//! What counts: `use` with its groups, and paths in expressions, types,
//! patterns, attributes and the arguments of macros. What does not: items under
//! `#[cfg(test)]`, doc comments, and other crates. Modules are found as the
//! compiler finds them, from `src/lib.rs` along `mod`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

/// A module by its names from the crate's root, which has none.
pub type Module = Vec<String>;

/// The text of each file of a tree.
pub type Files = BTreeMap<PathBuf, String>;

/// A module that names another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The file, from the tree's root.
    pub file: PathBuf,
    /// Its line.
    pub line: usize,
    /// The module that the line stands in.
    pub from: Module,
    /// The module that it leads to.
    pub to: Module,
}

/// The crate's modules and what each of them imports.
#[derive(Debug, Default)]
pub struct Crate {
    /// The modules, the root too.
    pub modules: BTreeSet<Module>,
    /// The files that were read.
    pub read: BTreeSet<PathBuf>,
    /// The imports, by file and line.
    pub imports: Vec<Import>,
}

/// How many names may stand for each other in a row.
const RENAMES: usize = 16;

impl Crate {
    /// Reads a crate from its `src/lib.rs`.
    pub fn read(files: &Files) -> Self {
        let mut reader = Reader {
            files,
            modules: BTreeMap::new(),
            read: BTreeSet::new(),
        };
        let root = PathBuf::from("src/lib.rs");
        let items = reader.parse(&root);
        reader.module(&[], &root, Path::new("src"), &items);
        let (read, modules) = (reader.read, reader.modules);

        let mut imports = BTreeSet::new();
        for (from, content) in &modules {
            for (path, line) in &content.paths {
                for to in resolve(&modules, from, path) {
                    imports.insert(Import {
                        file: content.file.clone(),
                        line: *line,
                        from: from.clone(),
                        to,
                    });
                }
            }
        }
        Self {
            modules: modules.into_keys().collect(),
            read,
            imports: imports.into_iter().collect(),
        }
    }
}

/// A module as it is written.
#[derive(Debug, Default)]
struct Content {
    file: PathBuf,
    /// The names that `use` brings in, and what they stand for.
    names: BTreeMap<String, Vec<String>>,
    /// Every path, as written, with its line.
    paths: Vec<(Vec<String>, usize)>,
}

struct Reader<'a> {
    files: &'a Files,
    modules: BTreeMap<Module, Content>,
    read: BTreeSet<PathBuf>,
}

impl Reader<'_> {
    fn parse(&mut self, file: &Path) -> Vec<Item> {
        let text = self.files.get(file);
        let text = text.unwrap_or_else(|| panic!("{} is not there", file.display()));
        self.read.insert(file.to_owned());
        match syn::parse_file(text) {
            Ok(parsed) => parsed.items,
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }

    /// Reads a module; `folder` is where the files of its children stand.
    fn module(&mut self, name: &[String], file: &Path, folder: &Path, items: &[Item]) {
        let mut paths = Paths::default();
        for item in items {
            paths.visit_item(item);
        }
        let content = Content {
            file: file.to_owned(),
            names: paths.names,
            paths: paths.found,
        };
        self.modules.insert(name.to_vec(), content);
        for child in paths.children {
            let ident = child.ident.to_string();
            let child_name = [name, std::slice::from_ref(&ident)].concat();
            if let Some((_, items)) = &child.content {
                self.module(&child_name, file, &folder.join(&ident), items);
            } else {
                let (file, folder) = self.place(&child, &ident, file, folder);
                let items = self.parse(&file);
                self.module(&child_name, &file, &folder, &items);
            }
        }
    }

    /// The file of a module, and the folder of its children.
    fn place(
        &self,
        module: &ItemMod,
        ident: &str,
        file: &Path,
        folder: &Path,
    ) -> (PathBuf, PathBuf) {
        if let Some(path) = module.attrs.iter().find_map(written_path) {
            let path = file.with_file_name(path);
            return (path.clone(), path.with_file_name(""));
        }
        let flat = folder.join(format!("{ident}.rs"));
        if self.files.contains_key(&flat) {
            return (flat, folder.join(ident));
        }
        (folder.join(ident).join("mod.rs"), folder.join(ident))
    }
}

/// The file that `#[path = "…"]` names.
fn written_path(attribute: &Attribute) -> Option<String> {
    let pair = attribute.meta.require_name_value().ok()?;
    match &pair.value {
        syn::Expr::Lit(literal) if pair.path.is_ident("path") => match &literal.lit {
            syn::Lit::Str(path) => Some(path.value()),
            _ => None,
        },
        _ => None,
    }
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|condition| condition.is_ident("test"))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Collects what one module writes; its child modules are left to the reader.
#[derive(Default)]
struct Paths {
    names: BTreeMap<String, Vec<String>>,
    found: Vec<(Vec<String>, usize)>,
    children: Vec<ItemMod>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if attributes(item).iter().any(is_test) {
            return;
        }
        match item {
            Item::Mod(module) => self.children.push(module.clone()),
            Item::Use(import) if import.leading_colon.is_none() => {
                self.tree(&mut Vec::new(), &import.tree);
            }
            Item::Use(_) => {}
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes: &[Attribute] = match item {
            syn::ImplItem::Fn(function) => &function.attrs,
            syn::ImplItem::Const(constant) => &constant.attrs,
            _ => &[],
        };
        if !attributes.iter().any(is_test) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let names = path.segments.iter().map(|part| part.ident.to_string());
            self.found.push((names.collect(), line_of(path)));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        visit::visit_macro(self, called);
        self.tokens(called.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        visit::visit_meta_list(self, list);
        self.tokens(list.tokens.clone());
    }

    /// `pub(in crate::x)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

impl Paths {
    fn tree(&mut self, before: &mut Vec<String>, tree: &UseTree) {
        let line = line_of(tree);
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(before, &path.tree);
                before.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(before, tree);
                }
            }
            UseTree::Name(name) => self.name(before, &name.ident, &name.ident, line),
            UseTree::Rename(rename) => self.name(before, &rename.ident, &rename.rename, line),
            UseTree::Glob(_) => self.found.push((before.clone(), line)),
        }
    }

    fn name(&mut self, before: &[String], ident: &syn::Ident, called: &syn::Ident, line: usize) {
        let mut path = before.to_vec();
        if ident != "self" || before.is_empty() {
            path.push(ident.to_string());
        }
        let called = match path.last() {
            Some(last) if called == "self" => last.clone(),
            _ => called.to_string(),
        };
        self.names.insert(called, path.clone());
        self.found.push((path, line));
    }

    /// Paths in what a macro gets, which no parser but the macro's own reads.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut path, line);
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path, line);
                    colons = 0;
                    self.tokens(group.stream());
                }
                _ => {
                    self.end(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.end(&mut path, line);
    }

    fn end(&mut self, path: &mut Vec<String>, line: usize) {
        if path.len() > 1 {
            self.found.push((std::mem::take(path), line));
        }
        path.clear();
    }
}

fn line_of(part: &impl syn::spanned::Spanned) -> usize {
    part.span().start().line
}

/// The modules that a path leads to: the one that it names, and where that only
/// passes a name on (`pub use`), the one that it comes from as well.
fn resolve(modules: &BTreeMap<Module, Content>, from: &[String], path: &[String]) -> Vec<Module> {
    let mut reached = Vec::new();
    let (mut scope, mut path) = (from.to_vec(), path.to_vec());
    for _ in 0..RENAMES {
        let Some((start, rest)) = begin(modules, &scope, &path) else {
            break;
        };
        let (module, left) = descend(modules, start, rest);
        if module != from {
            reached.push(module.clone());
        }
        let Some((name, behind)) = left.split_first() else {
            break;
        };
        let Some(stands_for) = modules.get(&module).and_then(|it| it.names.get(name)) else {
            break;
        };
        path = [stands_for.as_slice(), behind].concat();
        scope = module;
    }
    reached
}

/// Where a path begins and what follows; none where it leads out of the crate.
fn begin<'p>(
    modules: &BTreeMap<Module, Content>,
    scope: &[String],
    path: &'p [String],
) -> Option<(Module, &'p [String])> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some((Vec::new(), rest)),
        "self" => Some((scope.to_vec(), rest)),
        "super" => {
            let ups = 1 + rest.iter().take_while(|name| *name == "super").count();
            let depth = scope.len().checked_sub(ups)?;
            Some((scope[..depth].to_vec(), &path[ups..]))
        }
        _ => {
            let child = [scope, std::slice::from_ref(first)].concat();
            let content = modules.get(scope)?;
            // A name that stands for itself comes from another crate.
            let named = content.names.get(first).is_some_and(|it| it[0] != *first);
            (named || modules.contains_key(&child)).then(|| (scope.to_vec(), path))
        }
    }
}

fn descend<'p>(
    modules: &BTreeMap<Module, Content>,
    mut module: Module,
    mut path: &'p [String],
) -> (Module, &'p [String]) {
    while let Some((name, rest)) = path.split_first() {
        let child = [module.as_slice(), std::slice::from_ref(name)].concat();
        if !modules.contains_key(&child) {
            break;
        }
        (module, path) = (child, rest);
    }
    (module, path)
}
