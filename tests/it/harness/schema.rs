//! What `--json` prints, held against docs/json.schema.json.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::run::Ran;

const URL: &str = "https://example.invalid/json.schema.json";

/// The schema, in which no field is left unsaid: readers pass over what they do not
/// know, but the page has to know it.
static STRICT: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../docs/json.schema.json");
    let mut schema = serde_json::from_str(text).unwrap();
    close(&mut schema);
    schema
});

fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) {
                object
                    .entry("additionalProperties")
                    .or_insert(Value::Bool(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(array) => array.iter_mut().for_each(close),
        _ => {}
    }
}

/// Holds a document against a part of the schema.
#[track_caller]
pub fn keeps(document: &Value, part: &str) {
    let mut compiler = boon::Compiler::new();
    compiler.add_resource(URL, STRICT.clone()).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler
        .compile(&format!("{URL}#/$defs/{part}"), &mut schemas)
        .unwrap();
    if let Err(error) = schemas.validate(document, index) {
        panic!("not a {part}: {error:#}\n{document:#}");
    }
}

impl Ran {
    /// The objects that it printed, each as the schema has this part.
    #[track_caller]
    pub fn json(&self, part: &str) -> Vec<Value> {
        let lines = self.stdout.lines();
        let objects: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect();
        for object in &objects {
            keeps(object, part);
        }
        objects
    }
}

/// The examples of the page are what the schema says, and it can tell others.
#[test]
fn the_examples_keep_the_schema() {
    let blocks = crate::readme::blocks_of("docs/by-hand.md").into_iter();
    let examples = blocks.filter(|(language, _)| language == "json");
    let mut examples = examples.map(|(_, text)| serde_json::from_str::<Value>(&text).unwrap());
    keeps(&examples.next().unwrap(), "result");
    let mut status = examples.next().unwrap();
    // A line of the journal, which the page leaves out.
    assert_eq!(status["run"].take(), serde_json::json!({}));
    keeps(&status, "status");
    status["health"] = "fine".into();
    let wrong = std::panic::catch_unwind(|| keeps(&status, "status"));
    assert!(wrong.is_err());
    let more = Map::from_iter([("more".to_owned(), Value::Null)]);
    assert!(std::panic::catch_unwind(|| keeps(&Value::Object(more), "finding")).is_err());
}
