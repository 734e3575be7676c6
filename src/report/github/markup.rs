//! Words from outside in a job summary.
//!
//! It is written as HTML elements, which Markdown passes on as they are. Every
//! word from outside is escaped and stands in `<code>`, where GitHub makes no
//! links, mentions or emoji of it. Evidence stands in a fence that is longer than
//! any inside.

use std::fmt::Write as _;

use super::super::lines::shown;

/// Lines in a fence, at most so many bytes; what is over is cut from its
/// beginning: the end of a log tells most.
pub(super) fn fenced(title: &str, open: bool, lines: &[String], room: usize) -> String {
    let lines: Vec<String> = lines.iter().map(|line| shown(line)).collect();
    let longest = lines.iter().map(|line| run(line)).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let around = 200 + 2 * fence.len();
    let mut bytes = around;
    let fits = lines
        .iter()
        .rev()
        .take_while(|line| {
            bytes += line.len() + 1;
            bytes <= room
        })
        .count();
    if fits == 0 {
        return String::new();
    }
    let cut = lines.len() - fits;
    let open = if open { " open" } else { "" };
    let mut text = format!("<details{open}><summary>{title}</summary>\n\n");
    let _ = writeln!(text, "{fence}text");
    if cut > 0 {
        let _ = writeln!(text, "… {cut} lines before these");
    }
    for line in &lines[cut..] {
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(text, "{fence}\n\n</details>\n\n");
    text
}

/// The longest run of backticks.
fn run(line: &str) -> usize {
    let runs = line.split(|character| character != '`');
    runs.map(str::len).max().unwrap_or(0)
}

/// A word from outside.
pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(&shown(text)))
}

/// As text between elements, and in an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::fenced;

    #[test]
    fn a_fence_is_longer_than_any_inside() {
        let text = fenced("x", true, &["a".to_owned(), "````` <b>".to_owned()], 1000);
        assert!(
            text.contains("\n``````text\na\n````` <b>\n``````\n"),
            "{text}"
        );
        assert_eq!(fenced("x", true, &[], 1000), "");
    }
}
