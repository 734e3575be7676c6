//! What of helm's error output says why: without helm's own wrapping, and
//! without the values that the API server quotes.

use std::sync::LazyLock;

use regex::Regex;

use crate::helm::pattern::pattern;
use crate::text;

/// The longest value of a field that is shown.
const SHOWN: usize = 60;

/// How many lines of helm's are kept.
const LINES: usize = 20;

/// The head of a list of errors as Helm 3 prints it
/// (`hashicorp/go-multierror`'s `ListFormatFunc`): the errors stand below it.
static LIST: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|: )\d+ errors? occurred:$"));

/// What helm puts before the words of the API server: `pkg/action/hooks.go`,
/// `install.go`, `upgrade.go` and `pkg/kube/client.go` of helm 3.22.0 and 4.3.1;
/// and what the API server puts before those of a webhook
/// (`apierrors.NewInternalError`).
static WRAPPING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"^(?:failed (?:pre|post)-install: |(?:pre|post)-(?:install|upgrade|rollback) hooks failed: |warning: Hook \S+ \S+ failed: |release \S+ failed: |server-side apply failed for object \S+ \S+, Kind=\w+: |conflict occurred while applying object \S+ \S+, Kind=\w+: |cannot patch "[^"]*" with kind \w+: |failed to (?:create|replace) (?:resource|object): |create: failed to create: |Internal error occurred: )"#,
    )
});

/// The object that helm was at: `server-side apply failed for object
/// prod/api apps/v1, Kind=Deployment` (Helm 4), `cannot patch "api" with kind
/// Deployment` (Helm 3, which names none where it creates one).
static OBJECT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"for object [^\s/]*/(?<name>\S+) \S+, Kind=(?<kind>\w+): |cannot patch "(?<patched>[^"]*)" with kind (?<of>\w+): "#,
    )
});

/// What [`super::message`] says in words of its own.
static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"^(?:admission webhook "[^"]*" denied the request(?:: ?| without explanation)|[\w.-]+ "[^"]*" is (?:invalid|forbidden): )"#,
    )
});

/// The value that the server-side apply of a wrong type quotes
/// (`structured-merge-diff/v6/typed/helpers.go`): it can be a secret.
static UNSTRUCTURED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r", got &value\.valueUnstructured\{.*\}"));

/// What stands behind the last `Error: `, without helm's advice on its own
/// flags.
pub(super) fn last_words(stderr: &str) -> &str {
    let from = stderr
        .rfind("\nError: ")
        .map(|at| at + 1)
        .or_else(|| stderr.starts_with("Error: ").then_some(0));
    let said = from.map_or(stderr, |at| &stderr[at + "Error: ".len()..]);
    let said = said.split("\nUse --debug flag").next().unwrap_or(said);
    said.trim()
        .trim_start_matches("UPGRADE FAILED: ")
        .trim_start_matches("INSTALLATION FAILED: ")
}

/// The line that says why: where a list of errors begins, the first of them;
/// and nothing of helm's wrapping.
pub(super) fn why(said: &str) -> &str {
    let mut lines = said.lines();
    let first = lines.next().unwrap_or_default();
    let item = LIST
        .is_match(first)
        .then(|| lines.find_map(|line| line.trim_start().strip_prefix("* ")));
    unwrapped(item.flatten().unwrap_or(first))
}

fn unwrapped(line: &str) -> &str {
    let mut line = line;
    while let Some(found) = WRAPPING.find(line) {
        line = &line[found.end()..];
    }
    line
}

/// The object that helm was at, as kubectl names it.
pub(super) fn object(said: &str) -> Option<String> {
    let found = OBJECT.captures(said)?;
    let part = |one, other| found.name(one).or_else(|| found.name(other));
    let (kind, name) = (part("kind", "of")?, part("name", "patched")?);
    let name = text::line(name.as_str(), text::VALUE);
    Some(format!("{} {name}", kind.as_str()))
}

/// Helm's lines, without those that say no more than `message`.
pub(super) fn news(said: &str, message: &str) -> Vec<String> {
    let lines = said.lines().map(|line| {
        let line = line.trim();
        line.strip_prefix("* ").unwrap_or(line)
    });
    let lines: Vec<&str> = lines.filter(|line| !LIST.is_match(line)).collect();
    text::tail(&lines.join("\n"), LINES)
        .into_iter()
        .filter(|line| {
            let line = unwrapped(line);
            !message.contains(line) && !message.contains(&*KNOWN.replace(line, ""))
        })
        .collect()
}

/// The API server quotes the whole field that it refuses: for a Job that is its
/// pod template, with the values of its environment.
pub(super) fn without_values(said: &str) -> String {
    let lines = said
        .lines()
        .map(|line| UNSTRUCTURED.replace_all(&shortened(line), "").into_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn shortened(line: &str) -> String {
    const MARK: &str = "Invalid value: ";
    let mut kept = String::with_capacity(line.len().min(1024));
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(MARK) {
        // Whatever is quoted in a way that is not known goes up to the last reason.
        let end = value_end(after).or_else(|| after.rfind(": "));
        let Some(end) = end else {
            break;
        };
        kept.push_str(before);
        kept.push_str(MARK);
        kept.push_str(if end > SHOWN {
            "(left out)"
        } else {
            &after[..end]
        });
        rest = &after[end..];
    }
    kept + rest
}

/// Where a quoted value ends: before the first `: ` that stands in no string and
/// in no bracket (`ErrorDetail` of
/// `k8s.io/apimachinery/pkg/util/validation/field/errors.go`: JSON, a string
/// as Go writes it, and in older servers Go's own syntax).
fn value_end(text: &str) -> Option<usize> {
    let (mut depth, mut string, mut escaped) = (0_u32, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            _ if string => {}
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.checked_sub(1)?,
            b':' if depth == 0 && text[at + 1..].starts_with(' ') => return Some(at),
            _ => {}
        }
    }
    None
}
