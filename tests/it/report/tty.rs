//! A deploy on a real terminal: one block while it runs, the same lines at the
//! end, and the terminal as it was.

use testbed::chart::Shop;

use crate::harness::{Helm, Node, Ran, SCRIPT};

/// Runs a signal on a terminal of this size.
fn on_terminal(node: &Node, columns: u16, more: &str) -> Ran {
    let image = |key: &str| format!("ghcr.io/{}/shop/{key}:t1", node.name);
    let images = serde_json::json!({"api": image("api"), "web": image("web")});
    node.home.write("images.json", &images.to_string(), 0o644);
    let script = format!(
        "stty cols {columns} rows 24; exec {SCRIPT} --app {name} --chart oci://ghcr.io/{name}/charts/shop \
         --chart-version 0.1.0 --images \"$(cat images.json)\" {more}",
        name = node.name
    );
    node.home.write("on-terminal.sh", &script, 0o755);
    node.shell(
        "TERM=xterm-256color exec script --quiet --return --command 'sh on-terminal.sh' /dev/null",
    )
}

fn screen(ran: &Ran, columns: u16) -> vt100::Parser {
    let rows = |count| std::num::NonZero::new(count).unwrap();
    let mut parser = vt100::Parser::new(rows(60), rows(columns), 0);
    parser.process(ran.stdout.as_bytes());
    parser
}

#[test]
fn a_terminal_sees_one_block_and_then_what_a_pipe_sees() {
    let node = Node::new("terminal", Helm::V4);
    node.push(&Shop::new("shop", "0.1.0").chart());
    node.image("api", "t1");
    node.image("web", "t1");
    let ran = on_terminal(&node, 60, "");
    ran.exits(0);
    let parser = screen(&ran, 60);
    let left = parser.screen().contents();
    assert!(
        ran.stdout.contains("\x1b[2A\x1b[J") || ran.stdout.contains("\x1b[3A\x1b[J"),
        "drawn again: {:?}",
        ran.stdout
    );
    for line in [
        "-api 1/1 ready\n",
        "-web 1/1 ready\n",
        "helm applied it and all is ready",
        "deployed ",
    ] {
        assert_eq!(left.matches(line).count(), 1, "{line}\n{left}");
    }
    assert!(
        !left.contains("waiting for") && !left.contains("and its pods become"),
        "{left}"
    );
    assert!(!parser.screen().hide_cursor() && !parser.screen().alternate_screen());
    assert_eq!(parser.screen().fgcolor(), vt100::Color::Default);

    let quiet = screen(&on_terminal(&node, 60, "--quiet"), 60)
        .screen()
        .contents();
    assert!(quiet.starts_with("deployed "), "{quiet}");
}
