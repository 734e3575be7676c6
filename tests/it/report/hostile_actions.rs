//! Words from outside in a workflow's log, its annotations, its summary and outputs: none
//! is obeyed.

use testbed::chart::{Chart, Shop};
use testbed::image::Spec;

use super::hostile::strings;
use super::page::{rendered, skeleton};
use super::runner::Step;
use super::step::{FOLDER, Left, first, keep, signal, step};
use crate::failures::with_container;
use crate::harness::{Helm, Node, Ran, SCRIPT};

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
