//! How values are written: the texts and lists behind the types of the configuration.
//!
//! [`super::keys`] checks values by the same parsers before anything is built from them, so an error here
//! can only mean that the two have come apart.

use std::time::Duration;

use chrono::NaiveTime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A duration such as `24h` or `200ms`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// A time of day such as `09:00`.
pub(super) fn parse_time_of_day(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").ok()
}

/// A window of an offset such as `0=5m`: minutes before due, and how long before that a reminder may go out.
pub(super) fn parse_window(text: &str) -> Option<(u32, Duration)> {
    let (minutes, window) = text.split_once('=')?;
    Some((minutes.trim().parse().ok()?, parse_duration(window.trim())?))
}

/// An `http://` URL of a host, perhaps with a port and a path; without credentials, query or fragment.
pub(super) fn parse_base_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    let plain = url.scheme() == "http"
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parsed(from, parse_duration, "a duration")
}

pub(super) fn time_of_day<'de, D: Deserializer<'de>>(from: D) -> Result<NaiveTime, D::Error> {
    parsed(from, parse_time_of_day, "a time of day")
}

pub(super) fn base_url<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    parsed(from, parse_base_url, "an http:// URL")
}

/// Empty text means that there is none.
pub(super) fn none_if_empty<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    T::deserialize(serde::de::value::StringDeserializer::new(text)).map(Some)
}

pub(super) fn sorted_set<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u32>, D::Error> {
    let mut values = Vec::deserialize(from)?;
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

pub(super) fn windows<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(u32, Duration)>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let window = |text: &String| {
        parse_window(text).ok_or_else(|| D::Error::custom(format!("`{text}` is not a window")))
    };
    let mut windows: Vec<_> = texts.iter().map(window).collect::<Result<_, _>>()?;
    windows.sort_unstable();
    Ok(windows)
}

/// Text, which is empty, means that there is none.
pub(super) fn sorted_set_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u32>>, D::Error> {
    match toml::Value::deserialize(from)? {
        toml::Value::String(_) => Ok(None),
        list => sorted_set(list).map(Some).map_err(D::Error::custom),
    }
}

fn parsed<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: fn(&str) -> Option<T>,
    wanted: &str,
) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not {wanted}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_plain_http_and_loses_its_last_slash() {
        for (text, url) in [
            ("http://127.0.0.1:3500", Some("http://127.0.0.1:3500")),
            ("http://dapr.local/base/", Some("http://dapr.local/base")),
            ("http://[::1]:3500/", Some("http://[::1]:3500")),
            ("https://127.0.0.1:3500", None),
            ("http://me:pass@host", None),
            ("http://host/?a=b", None),
            ("http://host:port", None),
            ("127.0.0.1:3500", None),
            ("", None),
        ] {
            assert_eq!(parse_base_url(text).as_deref(), url, "{text}");
        }
    }
}
