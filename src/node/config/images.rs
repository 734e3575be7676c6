//! Where the image of a key stands in a chart's values, as deploy.toml says it.

use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Mistake, Table, read_list};
use crate::plan::{ImageParts, ValuePath};

/// `images.<key>`: a list of places, or the parts of one.
pub(super) fn place(
    path: &str,
    value: &Spanned<DeValue<'_>>,
    mistakes: &mut Vec<Mistake>,
) -> Option<(Vec<ValuePath>, Option<ImageParts>)> {
    const PLACE: &str = "a value path such as \"api.image\"";
    let DeValue::Table(table) = value.get_ref() else {
        return read_list(path, value, PLACE, mistakes).map(|paths| (paths, None));
    };
    let before = mistakes.len();
    let mut table = Table::new(path, table);
    let parts = ImageParts {
        registry: table.text("registry", PLACE, mistakes),
        repository: table.text("repository", PLACE, mistakes),
        tag: table.text("tag", PLACE, mistakes),
        digest: table.text("digest", PLACE, mistakes),
    };
    table.finish(mistakes);
    if mistakes.len() == before && parts.paths().is_empty() {
        mistakes.push(Mistake {
            at: value.span().start,
            message: format!("{path} names no part, expected repository, tag, digest or registry"),
            hint: None,
        });
    }
    (mistakes.len() == before).then_some((Vec::new(), Some(parts)))
}
