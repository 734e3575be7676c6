//! Charts that are functions, changed in the ways that charts go wrong: none of
//! them passes with an image that was not asked for.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
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
    /// Another workload has an image of its own.
    Sibling,
    /// The tag stands in another map.
    MovedTag,
    /// Text behind the tag.
    Suffix,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use Mutation as M;
    prop_oneof![
        Just(M::None),
        Just(M::Swapped),
        Just(M::IgnoredTag),
        Just(M::IgnoredRepository),
        Just(M::SharedTag),
        Just(M::Sibling),
        Just(M::MovedTag),
        Just(M::Suffix),
    ]
}

fn values(one: &str, two: &str) -> Value {
    let mut values = json!({"other": {"image": {"repository": "old/other", "tag": "3"}}, "versions": {one: "0", two: "0"}, "tag": "0"});
    values[one] = json!({"image": {"repository": format!("old/{one}"), "tag": "1"}});
    values[two] = json!({"image": {"repository": format!("old/{two}"), "tag": "2"}});
    values
}

fn rendered(values: &Value, names: [&str; 2], mutation: Mutation) -> String {
    let [one, two] = names;
    let image = |name: &str, is_first: bool| {
        let of = match mutation {
            Mutation::Swapped if is_first => two,
            Mutation::Swapped => one,
            _ => name,
        };
        let repository = text(values, &format!("/{of}/image/repository"));
        let tag = text(values, &format!("/{of}/image/tag"));
        match mutation {
            Mutation::IgnoredTag if is_first => format!("{repository}:0.9"),
            Mutation::IgnoredRepository if is_first => format!("old/{of}:{tag}"),
            Mutation::SharedTag => format!("{repository}:{}", text(values, "/tag")),
            Mutation::MovedTag => {
                format!("{repository}:{}", text(values, &format!("/versions/{of}")))
            }
            Mutation::Suffix if is_first => format!("{repository}:{tag}-slim"),
            _ => format!("{repository}:{tag}"),
        }
    };
    let mut all = deployment(one, &image(one, true)) + &deployment(two, &image(two, false));
    if mutation == Mutation::Sibling {
        let other = format!(
            "{}:{}",
            text(values, "/other/image/repository"),
            text(values, "/other/image/tag")
        );
        all += &deployment("other", &other);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_passes_falsely(
        api in prop::sample::select(vec!["api", "backend", "server", "one"]),
        web in prop::sample::select(vec!["web", "frontend", "ui", "two"]),
        mutation in mutation(),
        digest in any::<bool>(),
    ) {
        let fake = Fake::new(values(api, web), move |values| rendered(values, [api, web], mutation));
        let end = |at: char| if digest { format!("@sha256:{}", at.to_string().repeat(64)) } else { ":7".to_owned() };
        let (one, two) = (format!("ghcr.io/acme/shop/api{}", end('a')), format!("ghcr.io/acme/shop/web{}", end('b')));
        let result = run(&fake, &ImageRules::default(), &images(&[("api", &one), ("web", &two)]));
        let has_words = api != "one" && web != "two";
        if let Ok(proof) = result {
            let whole = fake.manifest(&proof.overrides);
            prop_assert!(whole.contains(&deployment(api, &one)), "{}", whole);
            prop_assert!(whole.contains(&deployment(web, &two)), "{}", whole);
            prop_assert!(!matches!(mutation, Mutation::Swapped | Mutation::IgnoredTag | Mutation::IgnoredRepository | Mutation::Suffix));
        } else {
            let may_pass = matches!(mutation, Mutation::None | Mutation::Sibling | Mutation::MovedTag)
                || (mutation == Mutation::SharedTag && !digest);
            prop_assert!(!(has_words && may_pass), "{:?}", result.map(|proof| proof.found));
        }
    }
}
