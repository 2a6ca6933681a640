//! Secrets: texts that no log, error or output may show, and how what is offered is held against them.
//!
//! Nothing is wiped when a secret is dropped: each is needed as long as the process lives, and it stands in the
//! environment or the configuration file, and in the headers of requests, as well. What keeps it from others is that the
//! process leaves no core behind, and nobody of its user may look into it ([`crate::cli`], `serve`).
//!
//! Must never know what a secret is for, but for the tokens of users ([`user_token`]).

pub mod user_token;

use std::fmt;

use ctutils::CtEq as _;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// What stands in for a secret wherever one would be shown.
pub const REDACTED: &str = "***";

/// A secret: every way of showing it shows `***`; only [`Secret::expose`] gives it away.
#[derive(Clone, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one header it is sent in.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `offered` is the secret, in a time that does not tell how much of it is right, nor how long it is: the
    /// hashes of both are compared, which are of one length and which nobody can bring near each other byte by byte.
    #[must_use]
    pub fn matches(&self, offered: &[u8]) -> bool {
        let (own, offered) = (Sha256::digest(&self.0), Sha256::digest(offered));
        own.as_slice().ct_eq(offered.as_slice()).to_bool()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_to_nobody_but_its_user() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let secret = Secret::new("hunter2");
        assert!(secret.matches(b"hunter2"));
        for wrong in ["", "hunter", "hunter22", "hunter3", "Hunter2"] {
            assert!(!secret.matches(wrong.as_bytes()), "{wrong}");
        }
    }
}
