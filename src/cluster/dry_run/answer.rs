//! What the API server's answer to a trial means. Pure.

use kube::core::Status;

use super::Forecast;
use crate::manifest::ObjectRef;
use crate::text;

/// The longest answer that is shown, in characters.
const ANSWER: usize = 300;

/// What a refusal says of the object. Of a Secret the answer is not quoted: it may
/// repeat what stands in it.
pub(super) fn refused(status: &Status, object: &ObjectRef, secret: bool) -> Forecast {
    let said = status.message.as_str();
    let has = |words: &str| said.contains(words);
    if has("does not support dry run") {
        return Forecast::Untold("a webhook for it takes no dry run".to_owned());
    }
    if status.code == 404 && has("namespaces \"") {
        return Forecast::Untold("its namespace is not there yet".to_owned());
    }
    if status.code == 404 {
        return Forecast::Untold("its kind is not served yet".to_owned());
    }
    if status.code >= 500 || status.code == 429 {
        return Forecast::Untold(untold("the API server cannot try it", status, object));
    }
    if secret {
        let reason = text::line(&status.reason, 60);
        return Forecast::Refused(format!("the API server answers {} ({reason})", status.code));
    }
    Forecast::Refused(format!(
        "the API server answers {}: {}",
        status.code,
        text::line(said, ANSWER)
    ))
}

/// Why an object cannot be told of.
pub(super) fn untold(why: &str, status: &Status, object: &ObjectRef) -> String {
    let code = status.code;
    match code {
        403 => format!("{why}: the kubeconfig's user has no right to it (403)"),
        _ if object.kind == "Secret" => format!("{why} ({code})"),
        _ => format!("{why} ({code}: {})", text::line(&status.message, ANSWER)),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::{Forecast, refused};
    use crate::manifest::ObjectRef;

    #[test]
    fn what_cannot_be_tried_is_told_from_what_is_refused() {
        let object = ObjectRef::of(&json!({"apiVersion": "v1", "kind": "Service"}));
        let answer = |code, message: &str, secret| {
            let status = Status {
                code,
                message: message.into(),
                reason: "Invalid".into(),
                ..Status::default()
            };
            refused(&status, &object, secret)
        };
        for (code, message, word) in [
            (
                400,
                "admission webhook \"a\" does not support dry run",
                "takes no dry run",
            ),
            (
                404,
                "namespaces \"x\" not found",
                "namespace is not there yet",
            ),
            (
                404,
                "the server could not find the requested resource",
                "not served yet",
            ),
            (500, "failed calling webhook \"a\"", "cannot try it"),
        ] {
            let Forecast::Untold(said) = answer(code, message, false) else {
                panic!("{message}");
            };
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(
            answer(422, "spec: Invalid value: \"hunter2\"", false),
            Forecast::Refused(
                "the API server answers 422: spec: Invalid value: \"hunter2\"".into()
            )
        );
        assert_eq!(
            answer(422, "data: Invalid value: \"hunter2\"", true),
            Forecast::Refused("the API server answers 422 (Invalid)".into())
        );
    }
}
