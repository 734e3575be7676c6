//! Mistakes in `--chart-version`.

use crate::signal::chart::ChartVersion;
use crate::signal::image::MAX_TAG;
use crate::signal::violation::quoted;

/// What is wrong with a version, and the one that was meant where that can be
/// told.
pub(super) fn version(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    if semver::Version::parse(text).is_ok() {
        return Some(format!(
            "it has {} characters; a tag in a registry has at most {MAX_TAG}",
            text.len()
        ));
    }
    if let Some(rest) = text.strip_prefix(['v', 'V', '='])
        && rest.starts_with(|first: char| first.is_ascii_digit())
    {
        let prefix = quoted(&text[..1]);
        return Some(match exact(rest) {
            Some(meant) => format!("leave out the {prefix}: write {}", quoted(&meant)),
            None => match version(rest) {
                Some(more) => format!("leave out the {prefix}; {more}"),
                None => format!("leave out the {prefix}"),
            },
        });
    }
    if let Some((_, behind)) = text.rsplit_once(['/', ':'])
        && let Some(meant) = exact(behind.trim_start_matches('v'))
    {
        return Some(format!("the version alone: write {}", quoted(&meant)));
    }
    if let Some(range) = range(text) {
        return Some(range.to_owned());
    }
    if let Some(zero) = leading_zero(text) {
        return Some(zero);
    }
    if let Some(parts) = parts(text) {
        return Some(parts);
    }
    if text.contains("..") {
        return Some("nothing stands between two dots: is a variable empty?".to_owned());
    }
    if ["latest", "stable", "main", "master", "dev", "edge", "head"]
        .contains(&text.to_ascii_lowercase().as_str())
    {
        return Some(
            "a name that moves does not say what to deploy: send the version that the build \
             pushed"
                .to_owned(),
        );
    }
    let hex = text.strip_prefix("sha-").unwrap_or(text);
    if (7..=40).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let meant = format!("0.1.0-g{}", hex.to_ascii_lowercase());
        return Some(format!(
            "a commit id is not a version; one can carry it, such as {}",
            quoted(&meant)
        ));
    }
    if text.starts_with("sha256:") {
        return Some("a digest is not a version: send the one in Chart.yaml".to_owned());
    }
    odd(text)
}

/// A character that no version has.
fn odd(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    let odd = text.chars().find(|c| !plain(*c))?;
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let hyphens: String = text
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    let build = (odd == '_' && !text.contains('+')).then(|| text.replacen('_', "+", 1));
    let build = build.as_deref().and_then(exact).map(|meant| {
        format!(
            "'_' stands for '+' in the registry's tag only: write {}",
            quoted(&meant)
        )
    });
    // Before any hyphen, '_' can only have stood for '+'.
    let both = build.is_none()
        || text
            .split('_')
            .next()
            .is_some_and(|text| text.contains('-'));
    let hyphens = exact(&hyphens).filter(|_| both).map(|meant| {
        format!(
            "a version has no {}; a branch's name takes '-' for it: write {}",
            quoted(&odd.to_string()),
            quoted(&meant)
        )
    });
    match (build, hyphens) {
        (Some(build), Some(hyphens)) => Some(format!("{build}; or, {hyphens}")),
        (one, other) => one.or(other),
    }
}

fn exact(text: &str) -> Option<String> {
    Some(ChartVersion::read(text)?.to_string())
}

fn range(text: &str) -> Option<&'static str> {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let wild = core
        .split('.')
        .any(|part| matches!(part.trim(), "x" | "X" | "*"));
    let operator = text.starts_with(['^', '~', '<', '>', '=', '!']);
    let several = text.contains(" - ") || text.contains("||") || text.contains(',');
    (wild || operator || several).then_some(
        "a range does not say what to deploy: send the one version that the build pushed",
    )
}

/// A numeric part with a leading zero: not `SemVer`, though a short commit id
/// is one once in a while.
fn leading_zero(text: &str) -> Option<String> {
    let zero = |part: &str| {
        part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (rest, build) = match text.split_once('+') {
        Some((rest, build)) => (rest, format!("+{build}")),
        None => (text, String::new()),
    };
    let (core, pre) = rest
        .split_once('-')
        .map_or((rest, None), |(core, pre)| (core, Some(pre)));
    if let Some(part) = core.split('.').find(|part| zero(part)) {
        let trimmed: Vec<&str> = core
            .split('.')
            .map(|part| match part.trim_start_matches('0') {
                "" => "0",
                trimmed => trimmed,
            })
            .collect();
        let tail = pre.map(|pre| format!("-{pre}")).unwrap_or_default();
        let meant = exact(&format!("{}{tail}{build}", trimmed.join(".")));
        return Some(match meant {
            Some(meant) => format!(
                "{} has a leading zero, which SemVer does not allow: write {}",
                quoted(part),
                quoted(&meant)
            ),
            None => format!(
                "{} has a leading zero, which SemVer does not allow",
                quoted(part)
            ),
        });
    }
    let pre = pre?;
    let part = pre.split('.').find(|part| zero(part))?;
    let marked: Vec<String> = pre
        .split('.')
        .map(|part| {
            if zero(part) {
                format!("g{part}")
            } else {
                part.to_owned()
            }
        })
        .collect();
    let meant = exact(&format!("{core}-{}{build}", marked.join(".")))?;
    Some(format!(
        "{} is all digits with a leading zero, which SemVer does not allow; a short commit id can \
         be that: put a letter before it where the chart is packaged, such as {}",
        quoted(part),
        quoted(&meant)
    ))
}

/// Too few or too many parts.
fn parts(text: &str) -> Option<String> {
    let at = text.find(['-', '+']).unwrap_or(text.len());
    let (core, tail) = text.split_at(at);
    let numbers: Vec<&str> = core.split('.').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !numbers.iter().all(numeric) {
        return None;
    }
    match numbers.len() {
        count @ (1 | 2) => {
            let full = format!("{core}{}{tail}", ".0".repeat(3 - count));
            let have = if count == 1 { "one part" } else { "two parts" };
            let meant = exact(&full)?;
            Some(format!("it has {have} of three: is it {}?", quoted(&meant)))
        }
        3 => numbers
            .iter()
            .find(|part| part.parse::<u64>().is_err())
            .map(|part| format!("{} is too large a number", quoted(part)))
            .or_else(|| {
                tail.len().eq(&1).then(|| {
                    format!(
                        "nothing stands behind {}: is a variable empty?",
                        quoted(tail)
                    )
                })
            }),
        count => Some(format!(
            "it has {count} parts of three; the fourth can be a pre-release or build part: {}",
            quoted(&format!(
                "{}+{}",
                numbers[..3].join("."),
                numbers[3..].join(".")
            ))
        )),
    }
}
