//! Deploys inside Actions through the real program: what the log, the
//! annotation, the summary and the outputs say.

use std::path::Path;

use testbed::chart::{Chart, Shop};
use testbed::image::Spec;

use super::hostile::strings;
use super::page::{rendered, skeleton};
use super::runner::Step;
use crate::failures::with_container;
use crate::harness::{Helm, Node, RUNNER, Ran, SCRIPT, Signal};

const FOLDER: &str = "/home/github-runner/work";

/// A step of a push's workflow, with the files that the runner hands to it.
fn step<'a>(node: &Node, signal: Signal<'a>, private: bool) -> Signal<'a> {
    let payload = format!(r#"{{"repository":{{"private":{private}}}}}"#);
    node.home.write("work/event.json", &payload, 0o644);
    node.home
        .write("work/summary", "# of an earlier step", 0o644);
    node.home.write("work/output", "", 0o644);
    let path = |name: &str| format!("{FOLDER}/{name}");
    signal
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "push")
        .env("GITHUB_REF", "refs/heads/main")
        .env("GITHUB_EVENT_PATH", &path("event.json"))
        .env("GITHUB_STEP_SUMMARY", &path("summary"))
        .env("GITHUB_OUTPUT", &path("output"))
}

/// What a step left behind.
struct Left {
    step: Step,
    summary: String,
    outputs: Vec<(String, String)>,
}

impl Left {
    /// All of it came through stdout.
    fn of(node: &Node, ran: &Ran) -> Self {
        assert_eq!(ran.stderr, "", "the runner reads stderr before stdout");
        let read = |name: &str| {
            std::fs::read_to_string(node.home.inside(&format!("work/{name}"))).unwrap()
        };
        let summary = read("summary");
        let ours = summary.strip_prefix("# of an earlier step\n");
        let pairs = read("output");
        let pairs = pairs.lines().map(|line| line.split_once('=').unwrap());
        Self {
            step: Step::of(ran.stdout.as_bytes(), ran.stderr.as_bytes()),
            summary: ours.unwrap_or_default().to_owned(),
            outputs: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// The data of the commands of this name.
    fn all(&self, name: &str) -> Vec<&str> {
        let commands = self
            .step
            .commands
            .iter()
            .filter(|command| command.name == name);
        commands.map(|command| command.data.as_str()).collect()
    }

    fn output(&self, name: &str) -> &str {
        let found = self.outputs.iter().find(|(of, _)| of == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// With `DEPLOY_TEST_PAGES=<folder>` what people see goes there, to be looked
/// at, under names that mean something to them.
fn keep(name: &str, node: &Node, left: &Left, ran: &Ran) {
    let Some(folder) = std::env::var_os("DEPLOY_TEST_PAGES") else {
        return;
    };
    let named = |text: &str| {
        let text = text.replace(&format!("ghcr.io/{}/", node.name), "ghcr.io/acme/");
        text.replace(&node.name, "shop")
    };
    let path = |ending: &str| Path::new(&folder).join(format!("{name}.{ending}"));
    let annotation = left
        .step
        .commands
        .iter()
        .find(|command| command.name == "error");
    let annotation = annotation.map_or_else(String::new, |annotation| {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let (title, data) = (
            escaped(&annotation.properties["title"]),
            escaped(&annotation.data),
        );
        format!("<div class=annotation><b>{title}</b>\n{data}</div>\n")
    });
    std::fs::write(path("md"), named(&left.summary)).unwrap();
    let page = annotation + &rendered(&left.summary);
    std::fs::write(path("html"), named(&page)).unwrap();
    std::fs::write(path("log"), named(&ran.stdout)).unwrap();
}

fn signal<'a>(node: &'a Node, version: &str, api: &str) -> Signal<'a> {
    let web = format!("ghcr.io/{}/shop/web:t1", node.name);
    node.signal(version).image("api", api).image("web", web)
}

/// A first release, told as a step tells it. The node's state lies where it
/// should.
fn first(node: &Node) {
    let state = node.home.var_lib("deploy");
    std::fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(RUNNER), Some(RUNNER)).unwrap();
    node.shop("0.1.0");
    let api = node.image("api", "t1");
    node.image("web", "t1");
    let ran = step(node, signal(node, "0.1.0", &api.by_tag()), false).run();
    ran.exits(0).says("::group::rollout: ");
    let left = Left::of(node, &ran);
    keep("good", node, &left, &ran);
    assert_eq!(
        (left.output("outcome"), left.output("revision")),
        ("deployed", "1")
    );
    let run = left.output("run-id");
    node.subcommand(&["show", run])
        .exits(0)
        .says(run)
        .says("deployed (0)");
    assert!(left.all("error").is_empty());
    for part in [
        run,
        &api.digest,
        "revision 1 deployed and verified",
        "first install",
    ] {
        assert!(left.summary.contains(part), "{part}: {}", left.summary);
    }
}

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

/// Hostile words in pods' logs and in NOTES, and a crash that makes them worth
/// telling; then `deploy show` in a step of its own.
#[test]
fn a_hostile_log_runs_no_command() {
    let node = Node::new("hostile", Helm::V4);
    first(&node);
    let strings = strings();
    // What a line of the image's settings can hold, and of that some: a log is
    // told by its end.
    let prints: Vec<String> = strings
        .iter()
        .filter(|text| text.len() < 200 && !text.contains([';', '\n']) && !text.trim().is_empty())
        .map(|text| format!("print {text}"))
        .collect();
    let every = prints.len() / 25;
    let prints: Vec<String> = prints.into_iter().step_by(every).collect();
    let crash = Spec::behaving(&format!("{}\nexit 3", prints.join("\n")));
    let api = node.image_with("api", "t2", crash).by_tag();
    let notes = strings.join("\n").replace("{{", "{ {");
    let chart = Shop::new("shop", "0.2.0").chart();
    node.push(&chart.with("templates/NOTES.txt", &notes));
    let ran = step(&node, signal(&node, "0.2.0", &api), true).run();
    ran.exits(7);
    let left = Left::of(&node, &ran);
    keep("hostile", &node, &left, &ran);
    tells_only_ours(&left, &ran);
    for part in ["pwned", "\\x1b"] {
        assert!(
            left.summary.contains(part),
            "the log is told: {}",
            left.summary
        );
    }

    let run = left.output("run-id");
    for (private, told) in [(true, true), (false, false)] {
        let payload = format!(r#"{{"repository":{{"private":{private}}}}}"#);
        node.home.write("work/event.json", &payload, 0o644);
        for json in ["", " --json"] {
            let ran = node.shell(&format!(
                "GITHUB_ACTIONS=true GITHUB_EVENT_PATH={FOLDER}/event.json {SCRIPT} show {run}{json}"
            ));
            ran.exits(0);
            assert_eq!(ran.stdout.contains("pwned"), told, "{}", ran.stdout);
            let step = Step::of(ran.stdout.as_bytes(), ran.stderr.as_bytes());
            assert_eq!(step.commands, [], "{}", ran.stdout);
        }
    }
}

/// Hostile words in what the kubelet says, in the state of a container and in
/// events, in helm's errors, and in a chart's own names.
#[test]
fn a_hostile_chart_runs_no_command() {
    let node = Node::new("hostile-chart", Helm::V3);
    first(&node);
    let api = node.image("api", "t2").by_tag();
    let send = |chart: &Chart, version: &str| {
        node.push(chart);
        let ran = step(&node, signal(&node, version, &api), true).run();
        let left = Left::of(&node, &ran);
        tells_only_ours(&left, &ran);
        (left, ran)
    };
    let words = |part: &str| {
        let found = strings();
        let found: Vec<String> = found
            .into_iter()
            // runc 1.1 hangs on a command whose error does not fit into a pipe.
            .filter(|text| text.len() < 1000 && text.contains(part) && !text.contains('\0'))
            .take(20)
            .collect();
        serde_json::json!(found.join(" \n")).to_string()
    };
    for (count, part) in ["[error]", "::add-mask::", "\u{1b}", "<", "`"]
        .into_iter()
        .enumerate()
    {
        let version = format!("0.2.{count}");
        let command = format!("          command: [{}]\n", words(part));
        let chart = with_container(&command).versioned(&version);
        let (left, ran) = send(&chart, &version);
        ran.exits(7).says("container api of ");
        keep(&format!("hostile-{count}"), &node, &left, &ran);
    }
    let fails = format!("{{{{ fail {} }}}}", words("[add-mask]"));
    let (_, ran) = send(
        &Shop::new("shop", "0.3.0")
            .chart()
            .with("templates/fail.yaml", &fails),
        "0.3.0",
    );
    ran.exits(6).says("add-mask");
    let name = serde_json::json!("##[error]x\n::error::x");
    let dependency = format!(
        "name: shop\ndescription: {name}\ndependencies:\n- name: {name}\n  version: 1.0.0\n  \
         repository: https://evil.example\n"
    );
    let abouts = [
        dependency,
        format!("name: {name}\n"),
        format!("name: shop\ntype: {name}\n"),
    ];
    for (count, about) in abouts.iter().enumerate() {
        let version = format!("0.4.{count}");
        let about = format!("apiVersion: v2\nversion: {version}\n{about}");
        let chart = Shop::new("shop", &version).chart();
        let (_, ran) = send(&chart.with("Chart.yaml", &about), &version);
        assert_ne!(ran.status.code(), Some(0), "{about}");
    }
}

/// The commands of a failed run, whoever else speaks.
#[track_caller]
fn tells_only_ours(left: &Left, ran: &Ran) {
    let commands = &left.step.commands;
    for command in commands {
        let ours = match command.name.as_str() {
            "group" => {
                command.data.starts_with("rollout: ") || command.data.starts_with("rollback: ")
            }
            "endgroup" => command.data.is_empty(),
            "error" => command.properties.keys().eq(["title"]),
            "stop-commands" => command.data.len() == 32,
            _ => false,
        };
        assert!(ours, "{command:?}\n{}", ran.stdout);
    }
    assert_eq!(left.all("error").len(), 1, "{}", ran.stdout);
    let control = ran.stdout.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None);
    let ours = [
        "h3",
        "blockquote",
        "code",
        "p",
        "b",
        "ul",
        "li",
        "table",
        "tr",
        "td",
        "th",
        "th align=\"left\"",
        "br",
        "details",
        "details open",
        "summary",
        "pre",
        "code class=\"language-text\"",
    ];
    for part in skeleton(&rendered(&left.summary)) {
        let Some(tag) = part.strip_prefix('<') else {
            continue;
        };
        let tag = tag.trim_start_matches('/').trim_end_matches('>');
        assert!(ours.contains(&tag), "{part}\n{}", left.summary);
    }
}
