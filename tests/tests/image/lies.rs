//! Registries that lie, break off, hang, ask for tokens, or send one elsewhere.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use husk_image::{Auth, Config, Error, HostConfig};
use husk_tests::image::{Compression, Image, Layer, Tar};
use serde_json::json;

use crate::fake::{Fake, Response, honest};
use crate::world::{World, config, noise, small};

fn big() -> Image {
    let tar = Tar::new().file("noise", 0o644, &noise(3_000_000, 1));
    Image::new(vec![Layer::new(tar, Compression::Gzip)], &json!({}))
}

fn layer_digest(image: &Image) -> String {
    husk_tests::image::digest(&image.layers[0].blob)
}

#[test]
fn wrong_content_is_refused() {
    let world = World::new();
    let image = big();
    let layer = layer_digest(&image);
    let changed = |request: &crate::fake::Request, what: &str, image: &Image| {
        let mut response = honest(image, request);
        if request.path.contains(what) {
            let middle = response.body.len() / 2;
            response.body[middle] ^= 1;
        }
        response
    };
    for (what, says) in [("/manifests/", "manifest"), (&image.id(), "config"), (&layer, "layer")] {
        let (image, what) = (image.clone(), what.to_owned());
        let fake = Fake::start(move |request| changed(request, &what, &image));
        let error = world.pull(&format!("{}/x:1", fake.host())).unwrap_err();
        assert!(matches!(&error, Error::WrongDigest { what, .. } if *what == says), "{error}");
        world.assert_empty();
    }
    // Too long and too short.
    let (bytes, id) = (image.clone(), layer.clone());
    let fake = Fake::start(move |request| {
        let mut response = honest(&bytes, request);
        if request.path.contains(&id) {
            response.body.push(0);
        }
        response
    });
    let error = world.pull(&format!("{}/x:1", fake.host())).unwrap_err();
    assert!(matches!(error, Error::WrongSize { .. }), "{error}");
    let fake = Fake::start(move |request| match honest(&image, request) {
        response if request.path.contains(&layer) => Response::new(200, &response.body[..100]),
        response => response,
    });
    let error = world.pull(&format!("{}/x:1", fake.host())).unwrap_err();
    assert!(matches!(error, Error::Transfer { .. }), "{error}");
    assert!(error.to_string().contains("ended after 100 of"), "{error}");
    world.assert_empty();
}

#[test]
fn broken_transfers_are_resumed_where_they_broke() {
    for ranges in [true, false] {
        let world = World::new();
        let image = big();
        let (layer, whole, bytes) = (layer_digest(&image), image.layers[0].blob.len(), image.clone());
        let fake = Fake::start(move |request| {
            let mut request = request.clone();
            if !ranges {
                request.headers.remove("range");
            }
            let response = honest(&bytes, &request);
            // Each connection gives half a megabyte more than the last, then breaks.
            match request.path.contains(&layer) && response.body.len() > 600_000 {
                true if ranges => response.cut(500_000),
                true => {
                    static TRIES: AtomicUsize = AtomicUsize::new(0);
                    let end = response.body.len().min(600_000 * (1 + TRIES.fetch_add(1, Ordering::SeqCst)));
                    response.cut(end)
                }
                false => response,
            }
        });
        world.pull(&format!("{}/x:1", fake.host())).unwrap();
        let requests = fake.requests.lock().unwrap();
        let blob = requests.iter().filter(|request| request.path.contains("/blobs/"));
        let offsets: Vec<String> = blob.filter_map(|request| request.headers.get("range").cloned()).collect();
        assert!(offsets.len() >= 4, "{offsets:?} of {whole}");
        assert_eq!(std::fs::read_dir(world.root().join("ingest")).unwrap().count(), 0);
    }
}

#[test]
fn silence_and_server_errors_end_in_time() {
    let world = World::new();
    let image = big();
    let (bytes, layer) = (image.clone(), layer_digest(&image));
    let fake = Fake::start(move |request| match honest(&bytes, request) {
        response if request.path.contains(&layer) => response.cut(0).hang(),
        response => response,
    });
    let error = world.pull(&format!("{}/x:1", fake.host())).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let fake = Fake::start(|_| Response::new(500, "oops"));
    let error = world.pull(&format!("{}/x:1", fake.host())).unwrap_err();
    assert!(matches!(error, Error::Status { status: 500, .. }), "{error}");
    assert!(fake.count("/manifests/") > 1, "tried again");
    let fake = Fake::start(|_| {
        Response::new(429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\ndown"}]}"#)
    });
    let error = world.pull(&format!("{}/x:1", fake.host())).unwrap_err();
    assert!(error.to_string().ends_with("(429 Too Many Requests): slowdown"), "{error}");
    // A server that gets over it.
    let failures = AtomicUsize::new(0);
    let fake = Fake::start(move |request| match failures.fetch_add(1, Ordering::SeqCst) {
        0 | 2 | 4 => Response::new(503, ""),
        _ => honest(&image, request),
    });
    world.pull(&format!("{}/x:1", fake.host())).unwrap();
}

#[test]
fn malformed_documents_are_refused() {
    let world = World::new();
    let endless = vec![b' '; 5 << 20];
    for (body, says) in [
        (b"<html>".to_vec(), "expected value"),
        (b"{}".to_vec(), "schemaVersion"),
        (endless, "more than 4194304 bytes"),
    ] {
        let fake = Fake::start(move |_| Response::new(200, body.clone()));
        let error = world.pull(&format!("{}/x:1", fake.host())).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    // An index that nests without end.
    let fake = Fake::start(move |request| {
        let own = request.path.rsplit('/').next().unwrap();
        let inner = husk_tests::image::digest(own.as_bytes());
        let body = json!({ "schemaVersion": 2, "manifests": [{ "digest": inner, "size": 1 }] });
        Response::new(200, body.to_string())
    });
    assert!(world.pull(&format!("{}/x:1", fake.host())).is_err());
    world.assert_empty();
}

#[test]
fn tokens_are_fetched_with_credentials_and_renewed() {
    let world = World::new();
    let image = small("token");
    let bytes = image.clone();
    let issued = AtomicUsize::new(0);
    let fake = Fake::start(move |request| {
        let given = request.headers.get("authorization").cloned().unwrap_or_default();
        if request.path.starts_with("/token") {
            // user:secret
            if given != "Basic dXNlcjpzZWNyZXQ=" {
                return Response::new(401, r#"{"details":"wrong password"}"#);
            }
            assert!(request.path.contains("scope=repository%3Aa%2Fb%3Apull"), "{}", request.path);
            assert!(request.path.contains("service=test"), "{}", request.path);
            let number = issued.fetch_add(1, Ordering::SeqCst);
            return Response::new(200, json!({ "token": format!("t{number}") }).to_string());
        }
        // A token is good for one question: the second one has to renew it.
        let fresh = format!("Bearer t{}", issued.load(Ordering::SeqCst).wrapping_sub(1));
        if given != fresh || (request.path.contains("/blobs/") && given == "Bearer t0") {
            let host = &request.headers["host"];
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="test""#);
            return Response::new(401, "").header("WWW-Authenticate", challenge);
        }
        honest(&bytes, request)
    });
    let reference = format!("{}/a/b:1", fake.host());
    let error = world.pull(&reference).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(error.to_string().contains("wrong password"), "{error}");
    let auth = Auth::Basic { username: "user".into(), password: "secret".into() };
    assert_eq!(world.pull_with(&reference, &auth).unwrap().id.to_string(), image.id());
    let fake = Fake::start(|_| Response::new(403, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#));
    let error = world.pull(&format!("{}/a:1", fake.host())).unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
}

#[test]
fn credentials_stay_with_their_host() {
    let image = small("redirect");
    let (bytes, elsewhere) = (image.clone(), image.clone());
    let store = Fake::start(move |request| honest(&elsewhere, request));
    let target = store.port;
    let fake = Fake::start(move |request| {
        if !request.headers.contains_key("authorization") {
            return Response::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        match request.path.contains("/blobs/") {
            true => Response::new(307, "")
                .header("Location", format!("http://localhost:{target}{}", request.path)),
            false => honest(&bytes, request),
        }
    });
    let world = World::new();
    let auth = Auth::Basic { username: "user".into(), password: "secret".into() };
    world.pull_with(&format!("{}/x:1", fake.host()), &auth).unwrap();
    let requests = store.requests.lock().unwrap();
    assert!(requests.len() >= 2, "config and layer came from there");
    assert!(requests.iter().all(|request| !request.headers.contains_key("authorization")));
    drop(requests);

    // Nor do they go to mirrors.
    let bytes = image.clone();
    let mirror = Fake::start(move |request| match request.headers.get("authorization") {
        None => Response::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
        Some(_) => honest(&bytes, request),
    });
    let mut config = config();
    let mirrors = vec![format!("http://{}", mirror.host())];
    config.hosts.insert(fake.host(), HostConfig { mirrors, ..HostConfig::default() });
    let world = World::with(config);
    world.pull_with(&format!("{}/x:1", fake.host()), &auth).unwrap();
    let requests = mirror.requests.lock().unwrap();
    assert!(!requests.is_empty() && requests.iter().all(|r| !r.headers.contains_key("authorization")));
    assert!(requests[0].path.ends_with(&format!("?ns={}", fake.host())), "{}", requests[0].path);
}

#[test]
fn mirrors_serve_names_that_are_out_of_reach_and_may_fail() {
    let image = big();
    let (bytes, liar_bytes) = (image.clone(), image.clone());
    let layer = layer_digest(&image);
    let own = Fake::start(move |request| honest(&bytes, request));
    let liar = Fake::start(move |request| match honest(&liar_bytes, request) {
        mut response if request.path.contains(&layer) => {
            response.body[1000] ^= 1;
            response
        }
        response => response,
    });
    let host = |mirrors: &[&Fake]| HostConfig {
        mirrors: mirrors.iter().map(|fake| format!("http://{}", fake.host())).collect(),
        ..HostConfig::default()
    };
    let hosts = BTreeMap::from([
        ("registry.invalid".to_owned(), HostConfig { mirrors_only: true, ..host(&[&own]) }),
        (own.host(), host(&[&liar])),
    ]);
    let world = World::with(Config { hosts, ..config() });
    let reference = "registry.invalid/e2e/x:1";
    world.pull(reference).unwrap();
    assert_eq!(world.store.status(reference).unwrap().tags, [reference]);
    world.runtime.block_on(world.store.remove(reference)).unwrap();
    // The mirror has a wrong layer: the registry itself has the right one.
    world.pull(&format!("{}/x:1", own.host())).unwrap();
    assert!(liar.count("/blobs/") >= 2);
}
