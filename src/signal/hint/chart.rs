//! Mistakes in `--chart`.

use super::oci_name::{component, without_user};
use crate::signal::chart::ChartRef;
use crate::signal::image::MAX_NAME;
use crate::signal::name::Owner;
use crate::signal::violation::quoted;

/// Each thing that is wrong with a reference, then the one that was meant
/// where that can be told.
pub(super) fn chart(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let packed = text.to_ascii_lowercase().ends_with(".tgz") && !text.contains("://");
    if packed || text.starts_with(['.', '/', '~']) || text.starts_with("file:") {
        return Some(
            "charts are pulled from ghcr.io, not read from a file: helm push it there".to_owned(),
        );
    }
    if text.matches('/').count() == 1 && !text.contains(':') && !text.starts_with("ghcr.io") {
        return Some("a helm repository has no meaning here: push the chart to ghcr.io".to_owned());
    }
    let mut causes = Vec::new();
    let rest = scheme(text, &mut causes);
    if rest.is_empty() {
        return Some("ghcr.io, the owner, charts and the chart's name are missing".to_owned());
    }
    let rest = without_user(rest, &mut causes);
    let rest = version(rest, &mut causes);
    let mut segments: Vec<&str> = rest.split('/').collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        causes.push("leave out the slash that is one too many".to_owned());
        segments.retain(|segment| !segment.is_empty());
    }
    let meant = registry(&mut segments, &mut causes)
        .then(|| path(&segments, &mut causes))
        .flatten();
    let meant = meant.and_then(|path| ChartRef::read(&format!("oci://ghcr.io/{path}")));
    if let Some(meant) = meant {
        causes.push(format!("write {}", quoted(&meant.to_string())));
    }
    (!causes.is_empty()).then(|| causes.join("; "))
}

/// Looks at what stands before the registry; what is left comes back.
fn scheme<'a>(text: &'a str, causes: &mut Vec<String>) -> &'a str {
    if let Some((scheme, rest)) = text.split_once("://") {
        if scheme.eq_ignore_ascii_case("oci") {
            if scheme != "oci" {
                causes.push("write oci:// in lower case".to_owned());
            }
        } else {
            let scheme = quoted(&format!("{scheme}://"));
            causes.push(format!("write oci:// in place of {scheme}"));
        }
        rest
    } else if let Some(rest) = text.strip_prefix("oci:") {
        causes.push("two slashes belong behind oci:".to_owned());
        rest.trim_start_matches('/')
    } else {
        causes.push("oci:// is missing in front".to_owned());
        text
    }
}

/// Looks at a tag or digest behind the path; what is left comes back.
fn version<'a>(text: &'a str, causes: &mut Vec<String>) -> &'a str {
    let (text, digest) = match text.split_once('@') {
        Some((name, digest)) if digest.contains(':') => (name, Some(digest)),
        _ => (text, None),
    };
    if digest.is_some() {
        causes.push(
            "leave out the digest: the chart is named by --chart-version, and its digest is \
             recorded when it is pulled"
                .to_owned(),
        );
    }
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[last..].find(':') {
        Some(colon) if last > 0 => {
            let tag = quoted(&text[last + colon..]);
            causes.push(format!(
                "leave out {tag}: the version goes to --chart-version"
            ));
            &text[..last + colon]
        }
        _ => text,
    }
}

/// Takes the registry off the segments; whether the rest is worth a look.
fn registry(segments: &mut Vec<&str>, causes: &mut Vec<String>) -> bool {
    let first = segments.first().copied().unwrap_or_default();
    if first.eq_ignore_ascii_case("ghcr.io") {
        if first != "ghcr.io" {
            causes.push("write ghcr.io in lower case".to_owned());
        }
        segments.remove(0);
        return true;
    }
    let host = first.contains(['.', ':']) || first == "localhost";
    if !host {
        causes.push("ghcr.io/ is missing before the owner".to_owned());
    } else if first.contains("ghcr.io") {
        causes.push(format!("the registry is ghcr.io, not {}", quoted(first)));
    } else {
        causes.push(format!(
            "charts are taken from ghcr.io only, not from {}: push the chart there",
            quoted(first)
        ));
    }
    !host
}

/// Looks at owner, `charts` and name; the path that was meant comes back.
fn path(segments: &[&str], causes: &mut Vec<String>) -> Option<String> {
    let meant = match segments {
        [] => {
            causes.push("the owner, charts/ and the chart's name are missing".to_owned());
            return None;
        }
        [only] if only.eq_ignore_ascii_case("charts") => {
            causes.push("the owner goes before charts/, the chart's name behind it".to_owned());
            return None;
        }
        [_] => {
            causes.push("charts/ and the chart's name are missing behind the owner".to_owned());
            return None;
        }
        [_, charts] if charts.eq_ignore_ascii_case("charts") => {
            causes.push("the chart's name is missing behind charts/".to_owned());
            return None;
        }
        [charts, _] if charts.eq_ignore_ascii_case("charts") => {
            causes.push("the owner is missing before charts/".to_owned());
            return None;
        }
        [owner, name] => {
            causes.push("charts/ is missing between owner and chart".to_owned());
            (owner, name)
        }
        [owner, charts, name] if charts.eq_ignore_ascii_case("charts") => (owner, name),
        [owner, "chart" | "helm" | "helm-charts", name] => {
            let middle = quoted(segments[1]);
            causes.push(format!(
                "charts stands between owner and chart, not {middle}"
            ));
            (owner, name)
        }
        [owner, charts, .., name] if charts.eq_ignore_ascii_case("charts") => {
            let extra = quoted(&segments[2..segments.len() - 1].join("/"));
            causes.push(format!(
                "exactly one name stands behind charts/: leave out {extra}, or push the chart \
                 without it"
            ));
            (owner, name)
        }
        [owner, .., charts, name] if charts.eq_ignore_ascii_case("charts") => {
            let extra = quoted(&segments[1..segments.len() - 2].join("/"));
            causes.push(format!(
                "exactly the owner stands before charts/: leave out {extra}, or push the chart \
                 without it"
            ));
            (owner, name)
        }
        _ => {
            causes.push("owner, charts and the chart's name are the three parts".to_owned());
            return None;
        }
    };
    let (owner, name) = meant;
    if owner.parse::<Owner>().is_err() {
        causes.push(format!(
            "the owner {} is not {}",
            quoted(owner),
            Owner::EXPECTED
        ));
    }
    if owner.len() + name.len() + "ghcr.io//charts/".len() > MAX_NAME {
        causes.push(format!(
            "a registry takes {MAX_NAME} characters, with ghcr.io/ counted"
        ));
    }
    if let Err(problem) = component(name) {
        causes.push(format!("the chart's name {} {problem}", quoted(name)));
    }
    Some(format!("{owner}/charts/{name}"))
}
