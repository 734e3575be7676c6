//! The corpus of charts, written the way that real ones are: each is proved
//! with real Helm 3 and 4, and deployed where the verdict is good.

mod check;
mod deployed;
mod expect;
mod proving;
mod shapes;
mod templates;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Helm, root};
use expect::{Case, Expect};

/// How many renders or deploys are under way at once in one test.
const AT_ONCE: usize = 3;

fn charts() -> Vec<(PathBuf, Expect)> {
    let folder = root().join("tests/data/charts");
    let charts = expect::load(&folder).unwrap();
    assert!(charts.len() >= 20, "only {} charts", charts.len());
    charts
}

/// Does `work` for each item, some at once, and gives all lines of all.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> Vec<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let lines = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = work(item);
                    lines.lock().unwrap().extend(found);
                }
            });
        }
    });
    lines.into_inner().unwrap()
}

fn name(folder: &Path) -> &str {
    folder.file_name().unwrap().to_str().unwrap()
}

/// Whether the overrides of a case are broken with this helm: each case with
/// one of the two, since what is rendered is the same, and a case has up to
/// eight of them.
fn mutates(helm: Helm, folder: &Path, case: &Case, form: &str) -> bool {
    let mut hasher = DefaultHasher::new();
    (name(folder), &case.name, form).hash(&mut hasher);
    hasher.finish().is_multiple_of(2) == (helm == Helm::V3)
}

/// Every case in every form: the verdict, the layout, the message; and each
/// override, left out on purpose, is missed by the proof.
fn proved(helm: Helm) {
    let charts = charts();
    let checks: Vec<(&Path, &Expect, &Case, &str)> = charts
        .iter()
        .flat_map(|(folder, expect)| {
            expect.cases.iter().flat_map(move |case| {
                let forms = case.forms().iter();
                forms.map(move |form| (folder.as_path(), expect, case, form.as_str()))
            })
        })
        .collect();
    let wrong = each(&checks, |(folder, expect, case, form)| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mutations = mutates(helm, folder, case, form);
        let check = check::check(helm.path(), folder, expect, case, form, mutations);
        let wrong = runtime.block_on(check);
        let told = |line: String| format!("{} / {} / {form}: {line}", name(folder), case.name);
        wrong.into_iter().map(told).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn proved_with_helm3() {
    proved(Helm::V3);
}

#[test]
fn proved_with_helm4() {
    proved(Helm::V4);
}

fn all_shapes() -> Vec<shapes::Shape> {
    shapes::load(&root().join("tests/data/shapes.toml"))
}

/// Every shape by tag and by digest.
fn read(helm: Helm) {
    let shapes = all_shapes();
    assert!(shapes.len() >= 60, "only {} shapes", shapes.len());
    let checks: Vec<(&shapes::Shape, &str)> = shapes
        .iter()
        .flat_map(|shape| ["tag", "digest"].map(|form| (shape, form)))
        .collect();
    let wrong = each(&checks, |(shape, form)| {
        shapes::check(helm.path(), shape, form)
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn shapes_are_read_with_helm3() {
    read(Helm::V3);
}

#[test]
fn shapes_are_read_with_helm4() {
    read(Helm::V4);
}
