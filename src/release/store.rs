//! The release's records in the cluster: read whole, and settled as helm itself
//! would write them. Not pure: it asks the cluster, not `helm`, since a record is
//! the only proof of what was applied, and settling one rewrites it.
//!
//! It must never touch what was not read before: each write carries the version
//! that was read, and a record that changed since is an error. It must never
//! rebuild a record from types: the JSON beneath is changed in place, so that
//! nothing is lost that this program does not know.
//!
//! Format: as in `record`; `Update` and `newSecretsObject` in
//! `helm.sh/helm/v4@v4.3.1/pkg/storage/driver/secrets.go`.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, PostParams, Preconditions,
};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::record::{Driver, Record, Status, broken, decode, read};
use crate::cluster::client::{failed, within};
use crate::error::{Error, Kind, Result};
use crate::plan::ReleaseId;

fn resource(driver: Driver) -> ApiResource {
    match driver {
        Driver::Secrets => ApiResource::erase::<Secret>(&()),
        Driver::ConfigMaps => ApiResource::erase::<k8s_openapi::api::core::v1::ConfigMap>(&()),
    }
}

/// Every record of the release, the oldest first.
pub async fn list(client: &Client, driver: Driver, release: &ReleaseId) -> Result<Vec<Record>> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &release.namespace, &resource(driver));
    let wanted = ListParams::default().labels(&format!("owner=helm,name={}", release.name));
    let what = "the release's records cannot be read";
    let listed = async {
        let listed = api.list(&wanted).await;
        listed.map_err(|error| failed(what, &error))
    };
    let found = within(what, listed).await?;
    let mut records = Vec::new();
    for object in &found.items {
        let unreadable =
            |error: Error| error.detail(format!("in {}/{}", release.namespace, object.name_any()));
        let Some(stored) = object.data.pointer("/data/release").and_then(Value::as_str) else {
            return Err(unreadable(broken("it holds no release")));
        };
        let json = match driver {
            // The API writes a Secret's bytes in base64, and helm's are that already.
            Driver::Secrets => STANDARD
                .decode(stored)
                .map_err(|_| broken("it is not base64"))
                .and_then(|inner| decode(&inner)),
            Driver::ConfigMaps => decode(stored.as_bytes()),
        };
        records.push(json.and_then(read).map_err(unreadable)?);
    }
    records.sort_by_key(|record| record.revision);
    Ok(records)
}

/// The record of the highest revision.
pub async fn last(client: &Client, driver: Driver, release: &ReleaseId) -> Result<Option<Record>> {
    Ok(list(client, driver, release).await?.pop())
}

/// The name of the Secret or `ConfigMap` that holds a revision.
pub fn name(release: &ReleaseId, revision: u32) -> String {
    format!("sh.helm.release.v1.{}.v{revision}", release.name)
}

/// Gives a revision a status and a description, in its label and in what is
/// stored. `helm history` shows both. It can be repeated: the answer to a write can
/// be lost.
///
/// Errors: [`Kind::Locked`] where somebody changed the record meanwhile.
pub async fn mark(
    client: &Client,
    release: &ReleaseId,
    record: &Record,
    status: Status,
    description: &str,
) -> Result<()> {
    let api = Api::<Secret>::namespaced(client.clone(), &release.namespace);
    let name = name(release, record.revision);
    let json = marked(record.json.clone(), status, description);
    let (mut secret, stored) = fetch(&api, &name).await?;
    if stored == json {
        return Ok(());
    }
    if stored != record.json {
        return Err(changed(&name));
    }
    let stored = encode(&json).map_err(|error| {
        Error::new(Kind::Internal, "a record of the release cannot be written").with_source(error)
    })?;
    let data = secret.data.get_or_insert_default();
    data.insert("release".to_owned(), ByteString(stored));
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.insert("status".to_owned(), status.name().to_owned());
    let now = jiff::Timestamp::now().as_second().to_string();
    labels.insert("modifiedAt".to_owned(), now);
    let written = async {
        // It still carries the resourceVersion that was read.
        let written = api.replace(&name, &PostParams::default(), &secret).await;
        written.map_err(|error| refused(&name, &error))
    };
    within("the release's record cannot be settled", written).await?;
    Ok(())
}

/// Removes the record of a revision, and nothing else.
///
/// Errors: [`Kind::Locked`] where somebody changed the record meanwhile.
pub async fn remove(client: &Client, release: &ReleaseId, record: &Record) -> Result<()> {
    let api = Api::<Secret>::namespaced(client.clone(), &release.namespace);
    let name = name(release, record.revision);
    let (secret, stored) = fetch(&api, &name).await?;
    if stored != record.json {
        return Err(changed(&name));
    }
    let only = DeleteParams::default().preconditions(Preconditions {
        resource_version: secret.metadata.resource_version,
        uid: secret.metadata.uid,
    });
    let removed = async {
        let removed = api.delete(&name, &only).await;
        removed.map_err(|error| refused(&name, &error))
    };
    within("the release's record cannot be removed", removed).await?;
    Ok(())
}

/// The Secret as it is now, and the record that it holds.
async fn fetch(api: &Api<Secret>, name: &str) -> Result<(Secret, Value)> {
    let found = async {
        let found = api.get(name).await;
        found.map_err(|error| refused(name, &error))
    };
    let secret = within("the release's record cannot be read", found).await?;
    let stored = secret.data.as_ref().and_then(|data| data.get("release"));
    match stored.map(|stored| decode(&stored.0)) {
        Some(Ok(json)) => Ok((secret, json)),
        _ => Err(changed(name)),
    }
}

fn refused(name: &str, error: &kube::Error) -> Error {
    match error {
        kube::Error::Api(status) if matches!(status.code, 404 | 409) => changed(name),
        _ => failed("the release's record cannot be settled", error),
    }
}

fn changed(name: &str) -> Error {
    Error::new(
        Kind::Locked,
        format!("somebody changed the record {name} while it was to be settled"),
    )
    .hint("another helm is at work on this release: send the signal again when it has ended")
}

fn marked(mut json: Value, status: Status, description: &str) -> Value {
    json["info"]["status"] = json!(status.name());
    json["info"]["description"] = json!(description);
    json
}

/// What helm stores: base64 of gzip of JSON.
pub(crate) fn encode(json: &Value) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&serde_json::to_vec(json)?)?;
    Ok(STANDARD.encode(gzip.finish()?).into_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{Status, decode, encode, marked};

    #[test]
    fn only_status_and_description_change() {
        let before = json!({
            "name": "shop", "version": 7, "manifest": "a: b\n", "unheard_of": [1, 2.5],
            "info": {"status": "pending-upgrade", "description": "Preparing upgrade", "notes": "n"},
        });
        let after =
            decode(&encode(&marked(before.clone(), Status::Failed, "interrupted")).unwrap())
                .unwrap();
        assert_eq!(after["info"]["status"], "failed");
        assert_eq!(after["info"]["description"], "interrupted");
        let mut undone = after;
        undone["info"]["status"] = before["info"]["status"].clone();
        undone["info"]["description"] = before["info"]["description"].clone();
        assert_eq!(undone, before);
    }
}
