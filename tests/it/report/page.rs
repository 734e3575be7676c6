//! A job summary as GitHub shows it: Markdown with GitHub's extensions, and the
//! elements of the page that it makes.

use std::sync::LazyLock;

use pulldown_cmark::{Options, Parser, html};
use regex::Regex;

/// Elements in whose text GitHub makes no links, mentions or emoji.
const VERBATIM: [&str; 2] = ["code", "pre"];

static TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("<(/?)([A-Za-z0-9]*)([^>]*)(>|$)").unwrap());

/// The page that Markdown makes.
pub fn rendered(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM
        | Options::ENABLE_MATH;
    let mut page = String::new();
    html::push_html(&mut page, Parser::new_ext(markdown, options));
    page
}

/// The page's tags with their attributes, in order, and between them all the
/// text that does not stand verbatim: of that a page could make links.
pub fn skeleton(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut at, mut verbatim) = (0, 0_usize);
    let text = |text: &str, found: &mut Vec<String>| {
        let text = text.trim();
        if !text.is_empty() {
            found.push(text.to_owned());
        }
    };
    for parts in TAG.captures_iter(html) {
        let whole = parts.get(0).unwrap();
        if verbatim == 0 {
            text(&html[at..whole.start()], &mut found);
        }
        at = whole.end();
        if VERBATIM.contains(&&parts[2]) {
            verbatim = if parts[1].is_empty() {
                verbatim + 1
            } else {
                verbatim.saturating_sub(1)
            };
        }
        found.push(whole.as_str().to_owned());
    }
    text(&html[at..], &mut found);
    found
}

#[test]
fn a_skeleton_shows_what_is_not_verbatim() {
    let page = rendered(
        "<p><code>@a &lt;b&gt;</code> @b</p>\n\n```text\n<c> https://x.y\n```\n\n[x](//y) <!-- z -->",
    );
    assert_eq!(
        skeleton(&page),
        [
            "<p>",
            "<code>",
            "</code>",
            "@b",
            "</p>",
            "<pre>",
            "<code class=\"language-text\">",
            "</code>",
            "</pre>",
            "<p>",
            "<a href=\"//y\">",
            "x",
            "</a>",
            "<!-- z -->",
            "</p>",
        ]
    );
}
