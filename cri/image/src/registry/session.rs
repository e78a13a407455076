//! One pull's conversation with the servers that may have the image.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RANGE, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};

use super::answer;
use super::challenge::Challenge;
use super::endpoint::{Clients, Endpoint};
use super::token;
use crate::layer::{Feed, Sink};
use crate::manifest::{self, Descriptor};
use crate::{Auth, Config, Digest, Error, Reference, Result};

/// How often a question that got no good answer is asked again, and the first pause.
const ASK_AGAIN: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct Session {
    config: Arc<Config>,
    reference: Reference,
    auth: Auth,
    endpoints: Vec<Arc<Server>>,
}

struct Server {
    endpoint: Endpoint,
    /// What answered this server's last challenge.
    authorization: Mutex<Option<HeaderValue>>,
}

/// Headers of one request.
struct Wish<'a> {
    url: &'a str,
    accept: &'static str,
    offset: u64,
}

impl Session {
    pub fn new(
        config: &Arc<Config>,
        clients: &Clients,
        reference: &Reference,
        auth: &Auth,
    ) -> Result<Session> {
        let endpoints = clients.endpoints(config, &reference.host)?;
        let endpoints = endpoints
            .into_iter()
            .map(|endpoint| Arc::new(Server { endpoint, authorization: Mutex::default() }))
            .collect();
        Ok(Session {
            config: Arc::clone(config),
            reference: reference.clone(),
            auth: auth.clone(),
            endpoints,
        })
    }

    /// A manifest or index, by tag or digest, from the first server that has it. Its digest is checked.
    pub async fn manifest(&self, target: &str) -> Result<(Vec<u8>, Digest)> {
        let expected = target.parse::<Digest>().ok();
        let mut first_error = None;
        for server in &self.endpoints {
            match self.manifest_from(server, target, expected.as_ref()).await {
                Ok(found) => return Ok(found),
                Err(error) if server.endpoint.is_mirror => {
                    tracing::debug!(image = %self.reference, mirror = server.endpoint.host, %error, "mirror failed");
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(first_error.unwrap_or_else(|| Error::BadConfig("no server to ask".into())))
    }

    async fn manifest_from(
        &self,
        server: &Server,
        target: &str,
        expected: Option<&Digest>,
    ) -> Result<(Vec<u8>, Digest)> {
        let url = self.url(server, "manifests", target);
        let wish = Wish { url: &url, accept: manifest::ACCEPT, offset: 0 };
        let mut tries = 0;
        let (stated, body) = loop {
            let got = match self.get(server, &wish, &self.reference.to_string()).await {
                Ok(response) => {
                    let stated = response.headers().get("docker-content-digest").cloned();
                    answer::body(response, manifest::MAX_MANIFEST).await.map(|body| (stated, body))
                }
                Err(error) => Err(error),
            };
            match got {
                Ok(got) => break got,
                // Nobody listening is told at once; the caller's caller tries again.
                Err(error) if error.is_temporary() && !matches!(error, Error::Connect { .. }) => {
                    tries += 1;
                    if tries > ASK_AGAIN {
                        return Err(error);
                    }
                    pause(tries).await;
                }
                Err(error) => return Err(error),
            }
        };
        let actual = Digest::of(&body);
        let stated = stated.and_then(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
        match expected.cloned().or(stated) {
            Some(expected) if expected != actual => Err(Error::WrongDigest {
                what: "manifest",
                expected: expected.to_string(),
                actual: actual.to_string(),
            }),
            _ => Ok((body, actual)),
        }
    }

    /// The same conversation without the mirrors, if there are any: for when one of them told lies.
    pub fn without_mirrors(&self) -> Option<Session> {
        let own: Vec<_> =
            self.endpoints.iter().filter(|server| !server.endpoint.is_mirror).cloned().collect();
        if own.is_empty() || own.len() == self.endpoints.len() {
            return None;
        }
        Some(Session {
            config: Arc::clone(&self.config),
            reference: self.reference.clone(),
            auth: self.auth.clone(),
            endpoints: own,
        })
    }

    /// A small blob as a whole, checked.
    pub async fn config(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        if blob.size > manifest::MAX_CONFIG {
            let reason = format!("it has {} bytes, the most is {}", blob.size, manifest::MAX_CONFIG);
            return Err(Error::BadManifest { what: "config", digest: blob.digest.to_string(), reason });
        }
        let mut patience = Patience::default();
        loop {
            match self.config_once(blob, patience.turn).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => self.bear(&mut patience, error).await?,
            }
        }
    }

    async fn config_once(&self, blob: &Descriptor, turn: usize) -> Result<Vec<u8>> {
        let response = self.blob(blob, 0, turn).await?;
        let bytes = answer::body(response, blob.size).await.map_err(|error| match error {
            Error::Protocol { .. } => Error::WrongSize {
                digest: blob.digest.to_string(),
                expected: blob.size,
                actual: blob.size + 1,
            },
            other => other,
        })?;
        let actual = Digest::of(&bytes);
        if actual != blob.digest {
            let (expected, actual) = (blob.digest.to_string(), actual.to_string());
            return Err(Error::WrongDigest { what: "config", expected, actual });
        }
        Ok(bytes)
    }

    /// Turns go round the servers, so that a broken mirror does not stand in the registry's way.
    async fn blob(&self, blob: &Descriptor, offset: u64, turn: usize) -> Result<Response> {
        let server = &self.endpoints[turn % self.endpoints.len()];
        let url = self.url(server, "blobs", &blob.digest.to_string());
        let wish = Wish { url: &url, accept: "*/*", offset };
        let what = format!("{}@{}", self.reference.name(), blob.digest);
        self.get(server, &wish, &what).await
    }

    /// Waits before the next try, or gives the error back once there is no use in going on.
    async fn bear(&self, patience: &mut Patience, error: Error) -> Result<()> {
        patience.turn += 1;
        if error.is_temporary() {
            patience.failures += 1;
        } else {
            patience.refusals += 1;
        }
        if patience.refusals >= self.endpoints.len() || patience.failures > self.config.retries {
            return Err(error);
        }
        tracing::debug!(image = %self.reference, %error, failures = patience.failures, "trying again");
        if error.is_temporary() && patience.turn >= self.endpoints.len() {
            pause(patience.failures).await;
        }
        Ok(())
    }

    fn url(&self, server: &Server, kind: &str, target: &str) -> String {
        let Endpoint { base, is_mirror, .. } = &server.endpoint;
        let repository = &self.reference.repository;
        // A mirror of several registries has to know whose repository is meant.
        let namespace = if *is_mirror { format!("?ns={}", self.reference.host) } else { String::new() };
        format!("{base}/v2/{repository}/{kind}/{target}{namespace}")
    }

    /// One request, and a second one if the server wants other credentials than it got.
    async fn get(&self, server: &Server, wish: &Wish<'_>, what: &str) -> Result<Response> {
        let authorization = server.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let response = self.send(server, wish, authorization).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return accept(response, what).await;
        }
        let challenge = response
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(Challenge::parse);
        let Some(challenge) = challenge else { return accept(response, what).await };
        let anonymous = Auth::Anonymous;
        let auth = if server.endpoint.is_mirror { &anonymous } else { &self.auth };
        let idle = self.config.idle_timeout_s;
        let header =
            token::answer(&server.endpoint, &challenge, auth, &self.reference.repository, idle).await?;
        let Some(header) = header else { return accept(response, what).await };
        *server.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(header.clone());
        accept(self.send(server, wish, Some(header)).await?, what).await
    }

    async fn send(
        &self,
        server: &Server,
        wish: &Wish<'_>,
        authorization: Option<HeaderValue>,
    ) -> Result<Response> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(wish.accept));
        if wish.offset > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", wish.offset))
        {
            headers.insert(RANGE, range);
        }
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value);
        }
        let Endpoint { client, host, .. } = &server.endpoint;
        let sent = client.get(wish.url).headers(headers).send().await;
        sent.map_err(|error| answer::failed(&error, host, wish.url, self.config.idle_timeout_s))
    }

    async fn transfer(&self, blob: &Descriptor, sink: &mut Sink, turn: usize) -> Result<()> {
        let offset = sink.got();
        let mut response = self.blob(blob, offset, turn).await?;
        let host = super::endpoint::host_of(response.url());
        // A server that knows no ranges sends all: skip what is there already.
        let mut skip = if response.status() == StatusCode::PARTIAL_CONTENT { 0 } else { offset };
        loop {
            let chunk = response.chunk().await.map_err(|error| {
                answer::failed(&error, &host, &blob.digest.to_string(), self.config.idle_timeout_s)
            })?;
            let Some(mut chunk) = chunk else { break };
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            skip -= skipped as u64;
            let chunk = chunk.split_off(skipped);
            if !chunk.is_empty() {
                sink.push(chunk, blob).await?;
            }
        }
        if sink.got() < blob.size {
            let reason = format!("it ended after {} of {} bytes", sink.got(), blob.size);
            return Err(Error::Transfer { host, what: blob.digest.to_string(), reason });
        }
        Ok(())
    }
}

impl Feed for Session {
    async fn feed(&self, blob: &Descriptor, sink: &mut Sink) -> Result<()> {
        let mut patience = Patience::default();
        loop {
            let before = sink.got();
            let Err(error) = self.transfer(blob, sink, patience.turn).await else { return Ok(()) };
            // Bytes that the sink has can't be taken back.
            if matches!(error, Error::WrongSize { .. } | Error::Internal(_)) {
                return Err(error);
            }
            // A line that breaks now and then gets there in the end.
            if sink.got() > before {
                patience.failures = 0;
            }
            self.bear(&mut patience, error).await?;
        }
    }
}

/// How a transfer has gone so far.
#[derive(Default)]
struct Patience {
    turn: usize,
    /// Temporary failures in a row.
    failures: u32,
    /// Clear answers that the blob is not to be had.
    refusals: usize,
}

async fn accept(response: Response, what: &str) -> Result<Response> {
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
        _ => Err(answer::refused(response, what).await),
    }
}

async fn pause(tries: u32) {
    tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(tries.min(5) - 1)).await;
}
