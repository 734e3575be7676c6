// The strings of outside text that try to do harm, for whoever includes this
// file.

use std::collections::BTreeSet;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    commands: Vec<String>,
    spellings: Vec<String>,
    others: Vec<String>,
}

/// All of them, each once.
pub fn strings() -> Vec<String> {
    let table: Table = toml::from_str(include_str!("hostile.toml")).unwrap();
    let spelt = table.spellings.iter().flat_map(|spelling| {
        table
            .commands
            .iter()
            .map(move |command| spelling.replace("{}", command))
    });
    let long = [
        "x",
        "日",
        "`",
        "<b>",
        "&",
        "::error::",
        "##[error]",
        "\n",
        "\u{1b}[31m",
        "\u{202e}",
        "@octocat ",
        "𝕏",
        "%",
    ];
    let long = long.map(|piece| piece.repeat(50_000 / piece.len()));
    let all: BTreeSet<String> = spelt.chain(table.others.clone()).chain(long).collect();
    all.into_iter().collect()
}
