//! Deploys inside Actions through the real program: what the log, the
//! annotation, the summary and the outputs say.

use std::path::Path;

use testbed::chart::Shop;
use testbed::image::Spec;

use super::page::rendered;
use super::step::{FOLDER, Left, first, keep, signal, step};
use crate::harness::{Helm, Node};

/// The annotation and the summary name the cause and the cure; the log of the
/// crash is shown, since the repository is private.
#[test]
fn a_failing_rollout_is_told_where_people_look() {
    let node = Node::new("annotated", Helm::V4);
    first(&node);
    node.push(&Shop::new("shop", "0.2.0").chart());
    let crash =
        Spec::behaving("print connecting to db:5432\nprint fatal: no database at db:5432\nexit 3");
    let api = node.image_with("api", "t2", crash).by_tag();
    let ran = step(&node, signal(&node, "0.2.0", &api), true).run();
    ran.exits(7);
    let left = Left::of(&node, &ran);
    keep("failed", &node, &left, &ran);
    let [annotation] = left.all("error")[..] else {
        panic!("{:?}", left.step.commands);
    };
    let cause = annotation.lines().next().unwrap();
    assert!(cause.contains("container api of "), "{annotation}");
    assert!(cause.contains("last with exit code 3"), "{annotation}");
    assert!(
        annotation.contains("→ rolled back: revision 3 serves"),
        "{annotation}"
    );
    assert!(annotation.encode_utf16().count() <= 4096);
    let page = rendered(&left.summary);
    let text = page.replace("&amp;", "&").replace("&#39;", "'");
    for part in [
        cause,
        "fatal: no database at db:5432",
        "3 now, 1 served before",
        "rollback",
        "deploy show ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(left.output("outcome"), "failed-last-good-serves");
    assert_eq!(left.output("revision"), "3");
    let run = left.output("run-id");
    node.subcommand(&["show", run])
        .exits(0)
        .says(cause)
        .says("fatal: no database");

    // The same by hand, as a terminal shows it in the end.
    let ran = signal(&node, "0.2.0", &api)
        .env("CLICOLOR_FORCE", "1")
        .run();
    ran.exits(7).says("fatal: no database at db:5432");
    draw(&node, &ran.stderr);
}

/// With `DEPLOY_TEST_PAGES=<folder>` a terminal's picture goes there.
fn draw(node: &Node, text: &str) {
    let Some(folder) = std::env::var_os("DEPLOY_TEST_PAGES") else {
        return;
    };
    let text = text.replace(&format!("ghcr.io/{}/", node.name), "ghcr.io/acme/");
    let text = text.replace(&node.name, "shop");
    let svg = anstyle_svg::Term::new().render_svg(&text);
    std::fs::write(Path::new(&folder).join("failed.svg"), svg).unwrap();
}

/// A bad request is one annotation with each mistake in it, and writes nothing.
#[test]
fn a_bad_request_is_annotated_and_writes_no_file() {
    let node = Node::new("bad-request", Helm::V4);
    let ran = step(&node, node.signal("latest").image("api", "x"), true).run();
    ran.exits(2);
    let left = Left::of(&node, &ran);
    let [annotation] = left.all("error")[..] else {
        panic!("{:?}", left.step.commands);
    };
    assert!(
        annotation.contains("--chart-version") && annotation.contains("web"),
        "{annotation}"
    );
    assert_eq!((left.summary.as_str(), left.outputs.len()), ("", 0));
}

/// Files that cannot be written, or had better not be, change nothing but a
/// note.
#[test]
fn files_of_the_runner_never_fail_a_deploy() {
    let node = Node::new("files", Helm::V3);
    node.shop("0.1.0");
    let api = node.image("api", "t1").by_tag();
    node.image("web", "t1");
    node.home.write("work/precious", "precious", 0o600);
    std::os::unix::fs::symlink("precious", node.home.inside("work/link")).unwrap();
    let link = format!("{FOLDER}/link");
    for wrong in ["/dev/full", "/etc/passwd", &link, "/nowhere/at/all", "."] {
        step(&node, signal(&node, "0.1.0", &api).arg("--dry-run"), false)
            .env("GITHUB_STEP_SUMMARY", wrong)
            .env("GITHUB_OUTPUT", wrong)
            .run()
            .exits(0)
            .says("note: the file of GITHUB_STEP_SUMMARY was not written: ")
            .says("note: the file of GITHUB_OUTPUT was not written: ");
    }
    let precious = std::fs::read_to_string(node.home.inside("work/precious")).unwrap();
    assert_eq!(precious, "precious");
}

/// Only the result: no group, no progress, but the annotation and the files.
#[test]
fn a_quiet_step_tells_its_end() {
    let node = Node::new("quiet", Helm::V4);
    node.push(&Shop::new("shop", "0.1.0").chart());
    node.image("api", "t1");
    node.image("web", "t1");
    let api = format!("ghcr.io/{}/shop/api:none", node.name);
    let ran = step(&node, signal(&node, "0.1.0", &api).arg("-q"), false).run();
    ran.exits(5);
    let left = Left::of(&node, &ran);
    assert_eq!(left.step.commands.len(), 1, "{}", ran.stdout);
    assert!(left.all("error")[0].contains("api:none"), "{}", ran.stdout);
    assert!(left.summary.contains("api:none"), "{}", left.summary);
    assert_eq!(left.output("outcome"), "not-in-registry");
}
