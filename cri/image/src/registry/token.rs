//! Credentials for one repository on one server (distribution spec, token authentication).

use reqwest::header::HeaderValue;
use reqwest::{Client, Url};
use serde::Deserialize;

use super::answer;
use super::challenge::Challenge;
use super::endpoint::{Endpoint, host_of, is_loopback};
use crate::{Auth, Error, Result};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const MAX_TOKEN: u64 = 1 << 20;

/// The `Authorization` header that answers a challenge; nothing if the credentials at hand can't answer it.
pub(super) async fn answer(
    endpoint: &Endpoint,
    challenge: &Challenge,
    auth: &Auth,
    repository: &str,
    idle_timeout_s: u64,
) -> Result<Option<HeaderValue>> {
    match (challenge, auth) {
        (_, Auth::Bearer(token)) => header(&format!("Bearer {token}")).map(Some),
        (Challenge::Basic, Auth::Basic { username, password }) => {
            header(&format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))).map(Some)
        }
        (Challenge::Basic, _) => Ok(None),
        (Challenge::Bearer { realm, service, scope }, _) => {
            let url = realm_url(endpoint, realm)?;
            let own_scope = format!("repository:{repository}:pull");
            let scope = scope.as_deref().unwrap_or(&own_scope);
            let ask =
                Ask { client: &endpoint.client, url, service: service.as_deref(), scope, idle_timeout_s };
            let token = ask.token(auth).await?;
            header(&format!("Bearer {token}")).map(Some)
        }
    }
}

/// Where the token is to be had. Credentials go there: never in the clear, unless the registry itself is plain.
fn realm_url(endpoint: &Endpoint, realm: &str) -> Result<Url> {
    let bad = |reason: String| Error::Protocol { host: endpoint.host.clone(), reason };
    let url = Url::parse(realm).map_err(|_| bad("a token address that is no URL".into()))?;
    let plain_allowed = endpoint.base.starts_with("http:") || url.host_str().is_some_and(is_loopback);
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain_allowed => Ok(url),
        _ => Err(bad(format!("a token address that is not https ({})", host_of(&url)))),
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

struct Ask<'a> {
    client: &'a Client,
    url: Url,
    service: Option<&'a str>,
    scope: &'a str,
    idle_timeout_s: u64,
}

impl Ask<'_> {
    async fn token(mut self, auth: &Auth) -> Result<String> {
        let host = host_of(&self.url);
        let request = match auth {
            Auth::Identity(token) => {
                let form = self.query(&[
                    ("grant_type", "refresh_token"),
                    ("client_id", "husk"),
                    ("refresh_token", token),
                ]);
                self.client
                    .post(self.url)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form)
            }
            _ => {
                let given = self.url.query().map(str::to_owned);
                let query = self.query(&[]);
                let query = given.map_or(query.clone(), |given| format!("{given}&{query}"));
                self.url.set_query(Some(&query));
                let request = self.client.get(self.url);
                match auth {
                    Auth::Basic { username, password } => request.basic_auth(username, Some(password)),
                    _ => request,
                }
            }
        };
        let response = request
            .send()
            .await
            .map_err(|error| answer::failed(&error, &host, "a token", self.idle_timeout_s))?;
        if !response.status().is_success() {
            return Err(answer::refused(response, "token").await);
        }
        let body = answer::body(response, MAX_TOKEN).await?;
        let parsed: Option<Answer> = serde_json::from_slice(&body).ok();
        let token =
            parsed.map(|answer| if answer.token.is_empty() { answer.access_token } else { answer.token });
        token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| Error::Protocol { host, reason: "no token where it promised one".into() })
    }

    /// Service and scope, and what else is to be sent, as a query or form.
    fn query(&self, more: &[(&str, &str)]) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        let service = self.service.map(|service| ("service", service));
        url.query_pairs_mut().extend_pairs(service).append_pair("scope", self.scope).extend_pairs(more);
        url.query().unwrap_or_default().to_owned()
    }
}

fn header(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::BadConfig("the credentials have a character that no header can have".into()))?;
    value.set_sensitive(true);
    Ok(value)
}
