// The table of bad requests, for whoever includes this file. A case is the
// good request with something in it replaced, or arguments of its own.

use std::collections::BTreeMap;

/// One bad request.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// What the message says, each in its own words.
    pub expect: Vec<String>,
    /// How many violations there are.
    #[serde(default = "one")]
    pub mistakes: usize,
    args: Option<Vec<String>>,
    app: Option<String>,
    chart: Option<String>,
    version: Option<String>,
    images: Option<String>,
    /// In place of the api's image.
    api: Option<String>,
    /// Behind everything else.
    #[serde(default)]
    more: Vec<String>,
    /// Flags that are left out.
    #[serde(default)]
    without: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Case>,
}

fn one() -> usize {
    1
}

impl Case {
    /// The arguments as a shell hands them over.
    pub fn args(&self) -> Vec<String> {
        if let Some(args) = &self.args {
            return args.clone();
        }
        let images = self.images.clone().unwrap_or_else(|| {
            let api = self.api.as_deref().unwrap_or("ghcr.io/acme/shop/api:1.4.0");
            let web = "ghcr.io/acme/shop/web:1.4.0";
            serde_json::to_string(&BTreeMap::from([("api", api), ("web", web)])).unwrap()
        });
        let mut args = Vec::new();
        for (flag, value) in [
            ("--app", self.app.as_deref().unwrap_or("shop")),
            (
                "--chart",
                self.chart
                    .as_deref()
                    .unwrap_or("oci://ghcr.io/acme/charts/shop"),
            ),
            (
                "--chart-version",
                self.version.as_deref().unwrap_or("1.4.0"),
            ),
            ("--images", &images),
        ] {
            if !self.without.iter().any(|without| without == flag) {
                args.extend([flag.to_owned(), value.to_owned()]);
            }
        }
        args.extend(self.more.clone());
        args
    }
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let table: Table = toml::from_str(include_str!("bad-requests.toml")).unwrap();
    table.case
}
