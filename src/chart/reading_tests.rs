//! Charts that are functions, changed in the ways that charts go wrong: none of
//! them passes with an image that was not asked for, and what an error suggests
//! makes the next run pass.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::tests::{Fake, deployment, images, run, text};
use crate::plan::ImageRules;

/// What is wrong with a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutation {
    None,
    /// Each component carries the other's image.
    Swapped,
    /// A template takes its tag from nowhere.
    IgnoredTag,
    IgnoredRepository,
    /// Both read one tag.
    SharedTag,
    /// Both read one image.
    SharedPlace,
    /// Another workload has an image of its own.
    Sibling,
    /// Another workload has the first one's image in a place of its own.
    SiblingOfTheSame,
    /// Another workload reads the first one's tag.
    SiblingOnItsTag,
    /// The tag stands in another map.
    MovedTag,
    /// Text behind the tag.
    Suffix,
    /// The tag decides which image it is.
    Condition,
}

use Mutation as M;

const MUTATIONS: [Mutation; 12] = [
    M::None,
    M::Swapped,
    M::IgnoredTag,
    M::IgnoredRepository,
    M::SharedTag,
    M::SharedPlace,
    M::Sibling,
    M::SiblingOfTheSame,
    M::SiblingOnItsTag,
    M::MovedTag,
    M::Suffix,
    M::Condition,
];

const APIS: [&str; 4] = ["api", "backend", "server", "one"];
const WEBS: [&str; 4] = ["web", "frontend", "ui", "two"];

/// A chart: its names, whether its images are the requested repositories
/// already, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
struct Made {
    names: [&'static str; 2],
    is_own: bool,
    mutation: Mutation,
}

impl Made {
    fn repository(&self, at: usize) -> String {
        if self.is_own {
            format!("ghcr.io/acme/shop/{}", ["api", "web"][at])
        } else {
            format!("old/{}", self.names[at])
        }
    }

    fn values(&self) -> Value {
        let [one, two] = self.names;
        let other = if self.mutation == M::SiblingOfTheSame {
            self.repository(0)
        } else {
            "old/other".to_owned()
        };
        let mut values = json!({"other": {"image": {"repository": other, "tag": "3"}}, "versions": {one: "0", two: "0"}, "tag": "0"});
        values[one] = json!({"image": {"repository": self.repository(0), "tag": "1"}});
        values[two] = json!({"image": {"repository": self.repository(1), "tag": "2"}});
        values
    }

    /// The image of a component.
    fn image(&self, values: &Value, at: usize) -> String {
        let name = self.names[at];
        let of = match self.mutation {
            M::Swapped => self.names[1 - at],
            M::SharedPlace => self.names[0],
            _ => name,
        };
        let repository = text(values, &format!("/{of}/image/repository"));
        let tag = text(values, &format!("/{of}/image/tag"));
        match self.mutation {
            M::IgnoredTag if at == 0 => format!("{repository}:0.9"),
            M::IgnoredRepository if at == 0 => format!("old/fixed:{tag}"),
            M::SharedTag => format!("{repository}:{}", text(values, "/tag")),
            M::MovedTag => {
                format!("{repository}:{}", text(values, &format!("/versions/{of}")))
            }
            M::Suffix if at == 0 => format!("{repository}:{tag}-slim"),
            M::Condition if at == 0 && tag == "7" => "old/seven:7".to_owned(),
            _ => format!("{repository}:{tag}"),
        }
    }

    fn rendered(&self, values: &Value) -> String {
        let mut all = deployment(self.names[0], &self.image(values, 0));
        all += &deployment(self.names[1], &self.image(values, 1));
        let tag = match self.mutation {
            M::Sibling | M::SiblingOfTheSame => text(values, "/other/image/tag"),
            M::SiblingOnItsTag => text(values, &format!("/{}/image/tag", self.names[0])),
            _ => return all,
        };
        let repository = text(values, "/other/image/repository");
        all + &deployment("other", &format!("{repository}:{tag}"))
    }

    /// Whether both components are told by their names.
    fn has_words(&self) -> bool {
        self.names[0] != "one" && self.names[1] != "two"
    }

    /// Whether this render has the images where they belong: by the names, and
    /// where these are not the keys' own by the repositories that stood there.
    fn is_right(&self, whole: &str, wanted: [&str; 2]) -> bool {
        let of = |name: &str, image: &str| whole.contains(&deployment(name, image));
        let as_named = of(self.names[0], wanted[0]) && of(self.names[1], wanted[1]);
        let swapped = of(self.names[0], wanted[1]) && of(self.names[1], wanted[0]);
        let other = match self.mutation {
            M::Sibling => of("other", "old/other:3"),
            M::SiblingOfTheSame if self.is_own => of("other", wanted[0]),
            M::SiblingOfTheSame => of("other", &format!("{}:3", self.repository(0))),
            M::SiblingOnItsTag => whole.contains("old/other:"),
            _ => true,
        };
        let by_repository =
            self.mutation == M::Swapped && self.is_own && self.names != ["api", "web"];
        other && (as_named || (by_repository && swapped))
    }
}

/// What deploy.toml says with the lines of these hints: for each key the first
/// that no other has taken.
fn pasted(hints: &[String]) -> ImageRules {
    let mut rules = ImageRules::default();
    let mut taken = Vec::new();
    for hint in hints {
        let Some((key, rest)) = hint
            .find("images.")
            .and_then(|at| hint[at + "images.".len()..].split_once(" = ["))
        else {
            continue;
        };
        let key = key.parse().unwrap();
        let list = rest.split(']').next().unwrap();
        if rules.layouts.contains_key(&key) || taken.contains(&list) {
            continue;
        }
        taken.push(list);
        let paths = list
            .split(", ")
            .map(|path| path.trim_matches('"').parse().unwrap());
        rules.layouts.insert(key, paths.collect());
    }
    rules
}

/// How the charts came out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    charts: usize,
    /// Read with nothing in deploy.toml.
    alone: usize,
    /// Read with the lines that the error suggested.
    with_lines: usize,
    /// Refused, whatever deploy.toml says.
    refused: usize,
}

#[test]
fn no_mutation_passes_falsely() {
    let mut count = Count::default();
    for (api, web, mutation, is_own, digest) in every() {
        let made = Made {
            names: [api, web],
            is_own,
            mutation,
        };
        let fake = Fake::new(made.values(), move |values| made.rendered(values));
        let end = |at: char| {
            if digest {
                format!("@sha256:{}", at.to_string().repeat(64))
            } else {
                ":7".to_owned()
            }
        };
        let one = format!("ghcr.io/acme/shop/api{}", end('a'));
        let two = format!("ghcr.io/acme/shop/web{}", end('b'));
        let requested = images(&[("api", &one), ("web", &two)]);
        count.charts += 1;
        let error = match run(&fake, &ImageRules::default(), &requested) {
            Ok(proof) => {
                let whole = fake.manifest(&proof.overrides);
                assert!(made.is_right(&whole, [&one, &two]), "{made:?} {whole}");
                count.alone += 1;
                continue;
            }
            Err(error) => error,
        };
        let is_plain = matches!(
            mutation,
            M::None | M::Sibling | M::MovedTag | M::SiblingOfTheSame
        ) || (mutation == M::SharedTag && !digest);
        assert!(
            !(is_plain && (made.has_words() || is_own)),
            "{made:?} {error}"
        );
        let rules = pasted(error.hints());
        let says_none = error
            .hints()
            .iter()
            .any(|hint| hint.contains("no line in deploy.toml can"));
        match run(&fake, &rules, &requested) {
            Ok(proof) => {
                let whole = fake.manifest(&proof.overrides);
                for image in [&one, &two] {
                    assert!(whole.contains(&format!("'{image}'")), "{made:?} {whole}");
                }
                count.with_lines += 1;
            }
            Err(again) => {
                let is_plain = says_none && rules.layouts.is_empty();
                assert!(is_plain, "{made:?} {error} {:?} {again}", error.hints());
                count.refused += 1;
            }
        }
    }
    assert!(count.charts >= 500, "{count:?}");
    assert_eq!(count.charts, count.alone + count.with_lines + count.refused);
    assert_eq!((count.alone, count.with_lines, count.refused), COUNTED);
}

/// Of all charts: read alone, with the lines of the error, refused.
const COUNTED: (usize, usize, usize) = (300, 118, 350);

fn every() -> Vec<(&'static str, &'static str, Mutation, bool, bool)> {
    let mut all = Vec::new();
    for api in APIS {
        for web in WEBS {
            for mutation in MUTATIONS {
                for (is_own, digest) in [(false, false), (false, true), (true, false), (true, true)]
                {
                    all.push((api, web, mutation, is_own, digest));
                }
            }
        }
    }
    all
}
