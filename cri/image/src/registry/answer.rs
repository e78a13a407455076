//! From HTTP's ways to fail to this crate's errors, and bodies of bounded size.

use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::endpoint::host_of;
use crate::{Error, Result};

/// Most bytes read of a body that only explains an error.
const MAX_EXPLANATION: u64 = 16 << 10;

/// A request that got no answer, or whose answer broke off.
pub(super) fn failed(error: &reqwest::Error, host: &str, what: &str, idle_timeout_s: u64) -> Error {
    let host = error.url().map_or_else(|| host.to_owned(), host_of);
    if error.is_timeout() && !error.is_connect() {
        return Error::Timeout { host, seconds: idle_timeout_s };
    }
    let reason = innermost(error);
    if mentions_tls(error) {
        return Error::Tls { host, reason };
    }
    if error.is_connect() {
        return Error::Connect { host, reason };
    }
    if error.is_redirect() {
        return Error::Protocol { host, reason: format!("a bad redirect: {reason}") };
    }
    Error::Transfer { host, what: what.to_owned(), reason }
}

/// The cause that says most: the last one.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn mentions_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // hyper and tokio wrap it into an io::Error, whose inner error is not its source.
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>() || mentions_tls(inner))
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// The error that a status means. `what` is the reference or digest that was asked for.
pub(super) async fn refused(response: Response, what: &str) -> Error {
    let host = host_of(response.url());
    let path = response.url().path().to_owned();
    let status = response.status();
    let message = explanation(response).await;
    match status {
        StatusCode::UNAUTHORIZED => Error::Unauthorized { host, message },
        StatusCode::FORBIDDEN => Error::Forbidden { host, message },
        StatusCode::TOO_MANY_REQUESTS => Error::TooManyRequests { host, message },
        StatusCode::NOT_FOUND => Error::UnknownImage { reference: what.to_owned(), message },
        _ => Error::Status { host, status: status.as_u16(), path, message },
    }
}

#[derive(Deserialize)]
struct Explanation {
    #[serde(default)]
    errors: Vec<Item>,
    #[serde(default)]
    details: String,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What the server says about it, short and printable.
async fn explanation(response: Response) -> String {
    let Ok(body) = body(response, MAX_EXPLANATION).await else { return String::new() };
    let text = match serde_json::from_slice::<Explanation>(&body) {
        Ok(explanation) if !explanation.errors.is_empty() => {
            let items = explanation.errors.into_iter().take(3);
            let texts = items.map(|item| if item.message.is_empty() { item.code } else { item.message });
            texts.collect::<Vec<_>>().join("; ")
        }
        Ok(explanation) => explanation.details,
        // HTML and the like help nobody.
        Err(_) => String::new(),
    };
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// A body that must not be longer than `most`.
pub(super) async fn body(mut response: Response, most: u64) -> Result<Vec<u8>> {
    let host = host_of(response.url());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => {
                let what = response.url().path().to_owned();
                return Err(failed(&error, &host, &what, 0));
            }
        }
        if body.len() as u64 > most {
            return Err(Error::Protocol { host, reason: format!("a document of more than {most} bytes") });
        }
    }
}
