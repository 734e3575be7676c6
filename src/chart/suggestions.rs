//! Values that look like an image, for the lines to put into deploy.toml.

use serde_json::Value;

use super::reference::Reference;
use crate::plan::ValuePath;
use crate::signal::ImageKey;

/// `images.api = ["api.image"]`
pub(super) fn line(key: &ImageKey, places: &[String]) -> String {
    let quoted: Vec<String> = places
        .iter()
        .map(|place| format!("\"{}\"", place.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("images.{key} = [{}]", quoted.join(", "))
}

/// Maps with a repository, and strings under an image's name that can be one.
pub(super) fn image_like(
    value: &Value,
    at: Option<&ValuePath>,
    found: &mut Vec<(ValuePath, String)>,
) {
    let Value::Object(map) = value else { return };
    if found.len() > 100 {
        return;
    }
    if let (Some(at), Some(Value::String(repository))) = (at, map.get("repository")) {
        found.push((at.clone(), repository.clone()));
    }
    for (key, below) in map {
        if key == "global" && at.is_some() {
            continue;
        }
        let path = match at {
            Some(at) => at.child(key),
            None => match key.replace('\\', "\\\\").replace('.', "\\.").parse() {
                Ok(path) => path,
                Err(_) => continue,
            },
        };
        match below {
            Value::String(image)
                if (key == "image" || key.ends_with("Image"))
                    && Reference::parse(image).is_some() =>
            {
                found.push((path, image.clone()));
            }
            _ => image_like(below, Some(&path), found),
        }
    }
}
