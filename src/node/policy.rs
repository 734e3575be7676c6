//! The node's policy: which app, whose images, which chart. Pure.

use std::collections::BTreeSet;
use std::path::Path;

use super::config::{Application, Config};
use crate::error::{Error, Kind, Result};
use crate::signal::{App, Owner, Request, nearest};
use crate::text;

/// Refuses (`Kind::Policy`) what the node does not allow; the hint is what an
/// operator writes into `file`, where that is wanted.
pub(super) fn check(request: &Request, config: &Config, file: Option<&Path>) -> Result<()> {
    let file = file.map_or("/etc/deploy/deploy.toml".to_owned(), |file| {
        text::line(&file.to_string_lossy(), 500).into_owned()
    });
    listed(&request.app, config, &file)?;
    let unlisted = Application::default();
    let app = config.apps.get(&request.app).unwrap_or(&unlisted);
    pinned(request, app, &file)?;
    let owners = app
        .settings
        .owners
        .as_ref()
        .or(config.defaults.owners.as_ref());
    owned(request, owners, &file)
}

fn listed(app: &App, config: &Config, file: &str) -> Result<()> {
    if config.apps.is_empty() || config.apps.contains_key(app) {
        return Ok(());
    }
    let names: Vec<&str> = config.apps.keys().map(App::as_str).collect();
    let message = format!(
        "the app {app} is not listed on this node, expected one of {}",
        names.join(", ")
    );
    let mut error = Error::new(Kind::Policy, message);
    if let Some(name) = nearest(app.as_str(), names.iter().copied()) {
        error = error.hint(format!("did you mean {name}?"));
    }
    Err(error.hint(format!(
        "to let it deploy, an operator adds to {file}: [apps.{app}]"
    )))
}

fn pinned(request: &Request, app: &Application, file: &str) -> Result<()> {
    match &app.chart {
        Some(pin) if *pin != request.chart => {
            let (name, chart) = (&request.app, &request.chart);
            let message = format!(
                "the app {name} is pinned to the chart {pin}, but the signal asks for {chart}"
            );
            Err(Error::new(Kind::Policy, message).hint(format!(
                "send {pin}, or an operator changes {file}: [apps.{name}] chart = \"{chart}\""
            )))
        }
        _ => Ok(()),
    }
}

fn owned(request: &Request, trusted: Option<&BTreeSet<Owner>>, file: &str) -> Result<()> {
    let chart = request.chart.owner();
    let is_trusted = |owner: &Owner| match trusted {
        Some(trusted) => trusted.contains(owner),
        None => owner == chart,
    };
    let mut untrusted = BTreeSet::new();
    let mut seen = Vec::new();
    if !is_trusted(chart) {
        untrusted.insert(chart.as_str());
        seen.push(format!("the chart {} belongs to {chart}", request.chart));
    }
    for (key, image) in &request.images {
        if !is_trusted(image.owner()) {
            untrusted.insert(image.owner().as_str());
            seen.push(format!(
                "the {key} image {image} belongs to {}",
                image.owner()
            ));
        }
    }
    if seen.is_empty() {
        return Ok(());
    }
    let expected = match trusted {
        Some(trusted) if trusted.is_empty() => "no owner is trusted on this node".to_owned(),
        Some(trusted) => {
            let names: Vec<&str> = trusted.iter().map(Owner::as_str).collect();
            format!("this node trusts {}", names.join(", "))
        }
        None => format!("expected the chart's owner, {chart}"),
    };
    let all: BTreeSet<&str> = match trusted {
        Some(trusted) => trusted.iter().map(Owner::as_str).collect(),
        None => BTreeSet::from([chart.as_str()]),
    };
    let list: Vec<String> = all
        .union(&untrusted)
        .map(|name| format!("\"{name}\""))
        .collect();
    let message = format!("{}; {expected}", seen.remove(0));
    Err(Error::new(Kind::Policy, message)
        .details(seen)
        .hint(format!(
            "to trust {}, an operator writes into {file}: [apps.{}] owners = [{}]",
            untrusted.into_iter().collect::<Vec<_>>().join(", "),
            request.app,
            list.join(", ")
        )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::super::config::Config;
    use super::check;
    use crate::error::Kind;
    use crate::signal::Request;

    fn request(app: &str, chart: &str, images: &[(&str, &str)]) -> Request {
        Request {
            app: app.parse().unwrap(),
            chart: format!("oci://ghcr.io/{chart}").parse().unwrap(),
            version: "1.2.3".parse().unwrap(),
            images: images
                .iter()
                .map(|(key, image)| {
                    (
                        key.parse().unwrap(),
                        format!("ghcr.io/{image}:1").parse().unwrap(),
                    )
                })
                .collect(),
        }
    }

    #[test]
    fn what_the_node_allows() {
        let acme = [("api", "acme/a"), ("web", "acme/w")];
        let mixed = [("api", "acme/a"), ("web", "other/w")];
        let pin = "[apps.shop]\nchart = \"oci://ghcr.io/acme/charts/shop\"";
        let owners = "[defaults]\nowners = [\"acme\", \"other\"]";
        let per_app =
            "[defaults]\nowners = [\"acme\", \"other\"]\n[apps.shop]\nowners = [\"acme\"]";
        for (config, chart, images, refused) in [
            ("", "acme/charts/shop", &acme[..], None),
            ("", "ACME/charts/shop", &acme, None),
            (
                "",
                "acme/charts/shop",
                &mixed,
                Some((
                    "belongs to other; expected the chart's owner, acme",
                    "[apps.shop] owners = [\"acme\", \"other\"]",
                )),
            ),
            ("[apps.shop]", "acme/charts/shop", &acme, None),
            (
                "[apps.shp]",
                "acme/charts/shop",
                &acme,
                Some(("shop is not listed", "did you mean shp?")),
            ),
            (
                "[apps.pytoya]",
                "acme/charts/shop",
                &acme,
                Some((
                    "expected one of pytoya",
                    "adds to /n/deploy.toml: [apps.shop]",
                )),
            ),
            (pin, "acme/charts/shop", &acme, None),
            (
                pin,
                "acme/charts/other",
                &acme,
                Some((
                    "pinned to the chart oci://ghcr.io/acme/charts/shop",
                    "chart = \"oci://ghcr.io/acme/charts/other\"",
                )),
            ),
            (owners, "acme/charts/shop", &mixed, None),
            (
                owners,
                "evil/charts/shop",
                &acme,
                Some((
                    "the chart oci://ghcr.io/evil/charts/shop belongs to evil; this node trusts acme, other",
                    "[\"acme\", \"evil\", \"other\"]",
                )),
            ),
            (
                per_app,
                "acme/charts/shop",
                &mixed,
                Some(("this node trusts acme", "owners = [\"acme\", \"other\"]")),
            ),
            (
                "[defaults]\nowners = []",
                "acme/charts/shop",
                &acme,
                Some(("no owner is trusted", "owners = [\"acme\"]")),
            ),
        ] {
            let file = Path::new("/n/deploy.toml");
            let parsed = Config::parse(config, file).unwrap();
            let verdict = check(&request("shop", chart, images), &parsed, Some(file));
            match (verdict, refused) {
                (Ok(()), None) => {}
                (Err(error), Some((message, hint))) => {
                    assert_eq!(error.kind(), Kind::Policy);
                    assert!(error.to_string().contains(message), "{error}");
                    let hints = error.hints().join("\n");
                    assert!(hints.contains(hint), "{hints}");
                }
                (verdict, _) => panic!("{config} {chart}: {verdict:?}"),
            }
        }
    }
}
