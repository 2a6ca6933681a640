//! Paths and query strings, read strictly: a filter that is misspelt must not silently filter nothing.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use chrono::DateTime;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::problem::Problem;
use crate::domain::Timestamp;

/// Entries on a page that asks for no number.
const LIMIT_DEFAULT: usize = 100;
/// Most entries on a page.
pub(super) const LIMIT_MAX: usize = 1_000;

/// How axum begins what is wrong with a query; it tells callers nothing.
const LIBRARY_PREFIX: &str = "Failed to deserialize query string: ";

/// A query string as `T`, or 400 with what is wrong with it.
pub(super) struct Strict<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Strict<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::<T>::try_from_uri(&parts.uri).map(|Query(query)| Self(query)).map_err(|wrong| {
            let detail = wrong.body_text();
            let detail = detail.strip_prefix(LIBRARY_PREFIX).unwrap_or(&detail);
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })
    }
}

/// The one parameter of a path, decoded, or 400.
pub(super) struct PathText(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(text)| Self(text))
            .map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, wrong.body_text()))
    }
}

/// How many entries a page has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limit(pub(super) usize);

impl Default for Limit {
    fn default() -> Self {
        Self(LIMIT_DEFAULT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| {
            text.parse()
                .ok()
                .filter(|n| (1..=LIMIT_MAX).contains(n))
                .map(Self)
                .ok_or_else(|| format!("limit={text} is not allowed; use a number from 1 to {LIMIT_MAX}"))
        })
    }
}

/// An instant, as RFC 3339 with a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Instant(pub(super) Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| {
            DateTime::parse_from_rfc3339(text)
                .map(|at| Self(Timestamp::from_millis(at.timestamp_millis())))
                .map_err(|_| {
                    format!(
                        "`{text}` is no instant; write RFC 3339 such as 2026-11-24T09:00:00Z, with + as %2B"
                    )
                })
        })
    }
}

/// A field that [`FromStr`] reads.
pub(super) fn from_str<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    parsed(deserializer, |text| text.parse().map(Some))
}

fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(D::Error::custom)
}
