//! Asking a running worker over HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;

use super::Failure;
use super::terminal::harmless;

/// How long a command waits: the worker answers after one commit, and a person is waiting.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// The body as it came.
    pub(super) body: String,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Silence {
    /// Nobody listens there.
    Refused,
    /// Anything else.
    Broken(String),
}

/// The URL of `path` segments at a worker that listens on `address`; the port has to be known.
pub(super) fn url(address: SocketAddr, setting: &str, path: &[&str]) -> Result<Url, Failure> {
    if address.port() == 0 {
        let message = format!("{setting} is 0, so the worker's port is not known; set {setting}");
        return Err(Failure::usage(message));
    }
    // A URL reads these as steps through its own path, however they are escaped.
    if let Some(step) = path.iter().find(|segment| matches!(**segment, "." | "..")) {
        let message =
            format!("`{step}` cannot be named in a URL; an event can be published to its topic instead");
        return Err(Failure::usage(message));
    }
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let base = format!("http://{}/", SocketAddr::new(host, address.port()));
    let mut url = Url::parse(&base).map_err(|error| Failure::failed(format!("{base}: {error}")))?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(path);
    }
    Ok(url)
}

/// A client that goes straight to the worker: no proxy stands between a machine and itself.
pub(super) fn client() -> Result<Client, Failure> {
    Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| Failure::failed(format!("no HTTP client: {error}")))
}

/// Sends `request`.
pub(super) async fn ask(request: RequestBuilder) -> Result<Answer, Silence> {
    let response = request.send().await.map_err(silence)?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(silence)?;
    Ok(Answer { status, body })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn silence(error: reqwest::Error) -> Silence {
    // The outermost error names only the URL; what happened is at the bottom.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Silence::Refused,
        _ if error.is_timeout() => Silence::Broken(format!("no answer within {TIMEOUT:?}")),
        _ => Silence::Broken(cause.to_string()),
    }
}

/// What an answer that is no success says, for a person: the lines of a validation error, the title and
/// detail of a problem (RFC 9457), or the body.
pub(super) fn complaint(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let details = body.get("details").and_then(Value::as_array);
    let mut lines = vec![match (text("message").or(text("title")), text("detail")) {
        (Some(title), Some(detail)) => format!("{title}: {detail}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) if answer.body.trim().is_empty() => "no reason given".to_owned(),
        (None, None) => answer.body.trim().to_owned(),
    }];
    for detail in details.into_iter().flatten() {
        let part = |key: &str| detail.get(key).and_then(Value::as_str).unwrap_or("?");
        lines.push(format!("  {}: {}", part("field"), part("error")));
    }
    lines.iter().map(|line| harmless(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> String {
        complaint(&Answer { status: 400, body: body.to_owned() })
    }

    #[test]
    fn a_validation_error_becomes_one_line_a_field() {
        let body = r#"{"error":"validation_error","message":"2 fields are wrong","details":
            [{"field":"payload.title","error":"is missing"},{"field":"payload.due_date","error":"is no\u001b date"}]}"#;
        assert_eq!(
            told(body),
            "2 fields are wrong\n  payload.title: is missing\n  payload.due_date: is no\u{fffd} date"
        );
    }

    #[test]
    fn a_problem_shows_title_and_detail_and_anything_else_itself() {
        assert_eq!(
            told(r#"{"title":"No such state","detail":"`done` is none"}"#),
            "No such state: `done` is none"
        );
        assert_eq!(told("not JSON"), "not JSON");
        assert_eq!(told(" "), "no reason given");
    }

    #[test]
    fn a_worker_on_all_addresses_is_asked_on_loopback() {
        let at = |address: &str| url(address.parse().unwrap(), "ops.port", &["a b", "c/d"]).map(String::from);
        assert_eq!(at("0.0.0.0:80").unwrap(), "http://127.0.0.1/a%20b/c%2Fd");
        assert_eq!(at("[::]:8080").unwrap(), "http://[::1]:8080/a%20b/c%2Fd");
        assert_eq!(at("10.0.0.1:8080").unwrap(), "http://10.0.0.1:8080/a%20b/c%2Fd");
        assert!(at("127.0.0.1:0").unwrap_err().message.contains("set ops.port"));
        for step in [".", ".."] {
            let told = url("127.0.0.1:1".parse().unwrap(), "app.port", &["api", step, "events"]).unwrap_err();
            assert!(told.message.contains(&format!("`{step}`")), "{told}");
        }
        assert!(url("127.0.0.1:1".parse().unwrap(), "app.port", &["..."]).is_ok());
    }
}
