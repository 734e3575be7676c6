//! The build cache. GitHub's own is not to be had here: what stands in for it speaks
//! to `BuildKit` as its second version does, calls in JSON and blobs as Azure has them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::made::Made;
use super::web::{self, Answer, Request};
use crate::harness::Ran;
use crate::install::machine::BUSYBOX;

const CALL: &str = "/twirp/github.actions.results.api.v1.CacheService/";

#[derive(Default)]
struct Store {
    /// What can be found, by key: the number of its blob. The newest of those with a
    /// common start is the last by name.
    entries: BTreeMap<String, usize>,
    /// Keys that were asked for, and the bytes that were sent for them.
    blobs: Vec<(String, Vec<u8>)>,
    /// Parts of a blob, by the path that it is sent to.
    blocks: BTreeMap<String, Vec<u8>>,
}

/// What one branch sees of GitHub's cache.
struct Cache {
    url: String,
    store: Arc<Mutex<Store>>,
}

impl Cache {
    fn start() -> Self {
        let store = Arc::<Mutex<Store>>::default();
        let kept = Arc::clone(&store);
        let address = web::serve(move |request| {
            let host = request.header("host").unwrap_or_default();
            let mut store = kept.lock().unwrap();
            match request.path.strip_prefix(CALL) {
                Some(call) => store.call(call, host, &request.body),
                None => store.blob(request),
            }
        });
        Self {
            url: format!("http://{address}/"),
            store,
        }
    }

    fn keys(&self) -> Vec<String> {
        self.store.lock().unwrap().entries.keys().cloned().collect()
    }
}

impl Store {
    fn call(&mut self, call: &str, host: &str, body: &[u8]) -> Answer {
        let asked: Value = serde_json::from_slice(body).unwrap();
        let key = asked["key"].as_str().unwrap().to_owned();
        let url = |blob: usize| format!("http://{host}/blob/{blob}");
        let answer = match call {
            "CreateCacheEntry" => {
                self.blobs.push((key, Vec::new()));
                json!({ "ok": true, "signed_upload_url": url(self.blobs.len() - 1) })
            }
            "FinalizeCacheEntryUpload" => {
                let blob = self.blobs.iter().rposition(|(of, _)| *of == key).unwrap();
                assert_eq!(asked["size_bytes"], self.blobs[blob].1.len());
                self.entries.insert(key, blob);
                json!({ "ok": true, "entry_id": "1" })
            }
            "GetCacheEntryDownloadURL" => {
                let starts = asked["restore_keys"].as_array().unwrap().iter();
                let found = starts.filter_map(Value::as_str).find_map(|start| {
                    let mut all = self.entries.iter().rev();
                    all.find(|(key, _)| key.starts_with(start))
                });
                match found {
                    Some((key, blob)) => json!({
                        "ok": true, "signed_download_url": url(*blob), "matched_key": key,
                    }),
                    None => json!({ "ok": false }),
                }
            }
            other => panic!("{other}"),
        };
        Answer::new("200 OK", answer.to_string()).with("Content-Type", "application/json")
    }

    /// A blob is sent whole, or in blocks and then the list of their names.
    fn blob(&mut self, request: &Request) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let blob: usize = path.strip_prefix("/blob/").unwrap().parse().unwrap();
        if request.method == "GET" {
            let from = request.header("x-ms-range").unwrap_or("bytes=0-");
            let from = from.trim_start_matches("bytes=").split('-').next().unwrap();
            let body = &self.blobs[blob].1[from.parse().unwrap()..];
            return Answer::new("206 Partial Content", body).with("x-ms-request-id", "1");
        }
        if let Some((_, block)) = query.split_once("blockid=") {
            let name = block.split('&').next().unwrap().replace("%3D", "=");
            let name = name.replace("%2B", "+").replace("%2F", "/");
            self.blocks
                .insert(format!("{blob} {name}"), request.body.clone());
        } else if query.contains("comp=blocklist") {
            let list = String::from_utf8(request.body.clone()).unwrap();
            let names = list.split("<Latest>").skip(1);
            for name in names.map(|rest| rest.split('<').next().unwrap()) {
                let block = &self.blocks[&format!("{blob} {name}")];
                self.blobs[blob].1.extend(block);
            }
        } else {
            self.blobs[blob].1.clone_from(&request.body);
        }
        Answer::new("201 Created", "").with("x-ms-request-id", "1")
    }
}

/// What a step has to show to the cache: which entries it may read and write.
fn token() -> String {
    let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let scopes = json!([{ "Scope": "refs/heads/main", "Permission": 3 }]).to_string();
    let head = encoded(json!({ "alg": "HS256", "typ": "JWT" }));
    let claims = encoded(json!({ "ac": scopes, "nbf": 0, "exp": 4_102_444_800_u64 }));
    format!("{head}.{claims}.AAAA")
}

/// An image whose build gives other bytes each time that it really runs.
fn made(name: &str) -> Made {
    let made = Made::new(name).env("COMPONENTS", r#"["api", "web"]"#);
    fs::copy(&*BUSYBOX, made.stage.path("workspace/api/bin/busybox")).unwrap();
    fs::write(
        made.stage.path("workspace/api/Dockerfile"),
        "FROM scratch\nCOPY bin/busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"cp\", \"/proc/sys/kernel/random/uuid\", \"/once\"]\n\
         COPY bin/api /api\n",
    )
    .unwrap();
    made
}

/// The layers of the image api.
fn layers(made: &Made, ran: &Ran) -> Vec<String> {
    ran.exits(0);
    let digests: Value = serde_json::from_str(&made.stage.output("digests")).unwrap();
    let name = digests["api"]
        .as_str()
        .unwrap()
        .trim_start_matches("sha256:");
    let path = made.layout("api").join("blobs/sha256").join(name);
    let manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers
        .map(|layer| layer["digest"].as_str().unwrap().to_owned())
        .collect()
}

/// A runner that is new has the layers of the run before, of this application, this
/// image and this platform; and without a cache everything is built.
#[test]
fn a_new_runner_finds_the_layers_of_the_run_before() {
    let cache = Cache::start();
    let shown = token();
    let cached = |made: Made| {
        made.env("ACTIONS_RUNTIME_TOKEN", &shown)
            .env("ACTIONS_RESULTS_URL", &cache.url)
    };
    let first = cached(made("cold"));
    let cold = layers(&first, &first.images("amd64"));
    let keys = cache.keys();
    for image in ["api", "web"] {
        let scope = format!("index-deploy-signal-shop-{image}-amd64-");
        assert!(keys.iter().any(|key| key.starts_with(&scope)), "{keys:?}");
    }
    let second = cached(made("warm"));
    let ran = second.images("amd64");
    assert_eq!(layers(&second, &ran), cold);
    ran.never_says(&shown);
    let other = cached(made("other")).env("APP", "blog");
    assert_ne!(layers(&other, &other.images("amd64")), cold);
    let without = made("without");
    assert_ne!(layers(&without, &without.images("amd64")), cold);
    assert_eq!(layers(&without, &without.images("amd64")).len(), 3);
}
