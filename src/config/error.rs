//! What is wrong with a configuration, told so that a person can mend it.

use std::fmt;

use super::layers::Source;

/// A configuration that cannot be used: everything that is wrong with it. Retrying changes nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invalid {
    /// In the order found; never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong. Secrets are never shown.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// A file that cannot be read, or is no TOML.
    #[error("{origin}: {reason}")]
    Unreadable {
        /// The file, variable or flag.
        origin: Source,
        /// Why, and what to do.
        reason: String,
    },
    /// A setting that does not exist.
    #[error("{origin}: there is no setting `{key}`; {known}")]
    Unknown {
        /// Where it was written.
        origin: Source,
        /// As it was written, `section.key`.
        key: String,
        /// The settings that do exist there.
        known: String,
    },
    /// A value that is not allowed.
    #[error("{origin}: {key} = {value} is not allowed; write {allowed}")]
    Value {
        /// Where it was written.
        origin: Source,
        /// `section.key`
        key: &'static str,
        /// The value as TOML, `***` for a secret.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
