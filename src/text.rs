//! Outside text made safe to show: escaped, then cut.
//!
//! Everything that a request, a chart, helm, the cluster or a pod says is
//! hostile until it went through here. Nothing may print such text any other
//! way. Escaping is idempotent, so that text may pass through twice.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// The longest line shown of outside text, in characters.
pub const LINE: usize = 2000;

/// The longest value shown of a request, in characters.
pub const VALUE: usize = 120;

/// One line of outside text: control characters, line breaks and characters
/// that change how others are shown (bidirectional marks, zero-width ones) are
/// written as escapes, and what is longer than `max` characters is cut.
pub fn line(text: &str, max: usize) -> Cow<'_, str> {
    if text.chars().all(is_plain) && text.chars().nth(max).is_none() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().min(max * 2));
    for (count, (at, character)) in text.char_indices().enumerate() {
        if count >= max {
            let left = text[at..].chars().count();
            let _ = write!(shown, "… ({left} more characters)");
            break;
        }
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            plain if is_plain(plain) => shown.push(plain),
            other if u32::from(other) < 0x100 => {
                let _ = write!(shown, "\\x{:02x}", u32::from(other));
            }
            other => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(other));
            }
        }
    }
    Cow::Owned(shown)
}

/// A value of a request in quotes, as people see what they sent.
pub fn quoted(text: &str) -> String {
    format!("'{}'", line(text, VALUE))
}

/// Several lines of outside text, each made safe, at most `max` of them from
/// the end (the end of a log is where the cause stands).
pub fn tail(text: &str, max: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(max)..]
        .iter()
        .map(|text| line(text.trim_end_matches('\r'), LINE).into_owned())
        .collect()
}

/// How many columns of a terminal a text takes.
pub fn columns(text: &str) -> usize {
    text.chars()
        .map(|character| character.width().unwrap_or(0))
        .sum()
}

/// A text within so many columns: what is wider ends in `…`.
pub fn fit(text: &str, max: usize) -> Cow<'_, str> {
    if columns(text) <= max {
        return Cow::Borrowed(text);
    }
    let mut left = max.saturating_sub(1);
    let mut kept = String::new();
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        kept.push(character);
    }
    if max > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            // Unicode's Default_Ignorable_Code_Point, line separators, and annotations.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{70f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::{columns, fit, line, quoted, tail};

    #[test]
    fn what_would_steer_a_terminal_is_written_out() {
        for (given, shown) in [
            ("plain – ünïcode", "plain – ünïcode"),
            ("\u{1b}[31mred", "\\x1b[31mred"),
            ("a\r\n::error::b", "a\\r\\n::error::b"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("\u{9b}1m", "\\x9b1m"),
            ("nul\0", "nul\\x00"),
        ] {
            assert_eq!(line(given, 100), shown);
            assert_eq!(line(&line(given, 100), 100), shown, "idempotent");
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(line("abcdef", 4), "abcd… (2 more characters)");
        assert_eq!(line("abcd", 4), "abcd");
        assert!(quoted(&"x".repeat(1000)).len() < 200);
        assert_eq!(tail("a\nb\r\nc", 2), ["b", "c"]);
    }

    #[test]
    fn what_is_wide_is_cut_to_its_columns() {
        for (text, max, kept, taken) in [
            ("abc", 5, "abc", 3),
            ("abc", 3, "abc", 3),
            ("abcd", 3, "ab…", 3),
            ("日本語", 6, "日本語", 6),
            ("日本語", 5, "日本…", 5),
            ("日本語", 4, "日…", 3),
            ("abc", 0, "", 0),
        ] {
            let fitted = fit(text, max);
            assert_eq!(
                (fitted.as_ref(), columns(&fitted)),
                (kept, taken),
                "{text} in {max}"
            );
        }
    }
}
