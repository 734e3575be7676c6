//! Lines broken between words, to the width of a terminal. Never in a pipe and
//! never in a runner's log: there a line is a line.

use unicode_width::UnicodeWidthStr as _;

/// Begins a style and ends it (`anstyle`'s, which writes nothing else).
const ESCAPE: char = '\u{1b}';

/// The narrowest terminal that lines are broken for.
const NARROWEST: usize = 20;

/// The text, with every line that is wider than `width` broken between words.
/// What follows stands deeper than the line's beginning, behind the same bar
/// where it is evidence. A word that fits in no line stays where it is, and whole: it
/// may be an address or a digest that somebody wants to copy.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    if width < NARROWEST {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive('\n') {
        let end = line.strip_suffix('\n').map_or("", |_| "\n");
        let line = line.strip_suffix('\n').unwrap_or(line);
        if columns(line) <= width {
            out.push_str(line);
        } else {
            broken(&mut out, line, width);
        }
        out.push_str(end);
    }
    out
}

fn broken(out: &mut String, line: &str, width: usize) {
    let hanging = hanging(&plain(line), width);
    let mut column = 0;
    // The first word of a row goes in whatever its width.
    let mut empty = true;
    for (spaces, word) in words(line) {
        let wide = columns(word);
        let fits_below = columns(&hanging) + wide <= width;
        if !empty && fits_below && column + spaces.len() + wide > width {
            out.push('\n');
            out.push_str(&hanging);
            column = columns(&hanging);
        } else {
            out.push_str(spaces);
            column += spaces.len();
        }
        out.push_str(word);
        column += wide;
        empty = empty && wide == 0;
    }
}

/// Words, each with the spaces before it. Styles belong to the word that they
/// touch.
fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let word = rest.trim_start_matches(' ');
        let (spaces, from) = rest.split_at(rest.len() - word.len());
        let end = from.find(' ').unwrap_or(from.len());
        let (word, left) = from.split_at(end);
        rest = left;
        Some((spaces, word))
    })
}

/// What the rows after the first begin with.
fn hanging(line: &str, width: usize) -> String {
    let is_mark = |character: char| matches!(character, ' ' | '|' | '→' | '·');
    let start: String = line.chars().take_while(|c| is_mark(*c)).collect();
    // The name of a row of a table, as in `deploy show`: `cause     text`.
    let named = line
        .get(..10)
        .filter(|name| name.ends_with("  ") || name.trim().is_empty());
    let deep = match named {
        Some(name) if !name.starts_with(' ') => " ".repeat(name.len()),
        _ => start.replace(['→', '·'], " ") + "  ",
    };
    if columns(&deep) * 2 > width {
        String::new()
    } else {
        deep
    }
}

/// How wide it is, without its styles.
fn columns(text: &str) -> usize {
    if text.contains(ESCAPE) {
        plain(text).width()
    } else {
        text.width()
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words() {
        for (given, expected) in [
            ("short\n", "short\n"),
            (
                "error: the quick brown fox jumps over\n",
                "error: the quick brown\n  fox jumps over\n",
            ),
            (
                "  | the quick brown fox jumps over",
                "  | the quick brown fox\n  |   jumps over",
            ),
            (
                "  |   Unhealthy (2×): the probe failed",
                "  |   Unhealthy (2×):\n  |     the probe failed",
            ),
            (
                "  → the quick brown fox jumps",
                "  → the quick brown fox\n      jumps",
            ),
            (
                "cause     the quick brown fox",
                "cause     the quick\n          brown fox",
            ),
            (
                "see https://ghcr.io/acme/a/very/long/address now",
                "see https://ghcr.io/acme/a/very/long/address\n  now",
            ),
            (
                "\u{1b}[1mnote:\u{1b}[0m 日本語 日本語 日本語 x",
                "\u{1b}[1mnote:\u{1b}[0m 日本語 日本語\n  日本語 x",
            ),
            ("", ""),
            ("a\n\nb", "a\n\nb"),
        ] {
            assert_eq!(wrapped(given, 24), expected);
        }
        let long = "a ".repeat(40);
        assert_eq!(wrapped(&long, 5), long, "too narrow to be broken well");
    }
}
