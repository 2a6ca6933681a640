//! Exit codes, as `sysexits.h` and service managers know them, and the failures that lead to them.

use std::process::ExitCode;

use crate::config::Invalid;
use crate::store::OpenError;

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// 0: all went well, or a clean stop.
    Clean,
    /// 1: anything that has no code of its own.
    Failed,
    /// 64: the arguments are wrong.
    Usage,
    /// 74: the store will not open, or was taken away.
    Store,
    /// 78: the configuration is wrong.
    Configuration,
}

impl Exit {
    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::Usage => 64,
            Self::Store => 74,
            Self::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command ends other than clean.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit it asks for.
    pub exit: Exit,
    /// What happened and what to do, perhaps in several lines.
    pub message: String,
}

impl Failure {
    /// A failure that ends with `exit`.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A failure without a code of its own.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// Wrong arguments.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::new(Exit::Configuration, invalid.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(Exit::Store, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_service_managers_know() {
        let codes =
            [Exit::Clean, Exit::Failed, Exit::Usage, Exit::Store, Exit::Configuration].map(Exit::code);
        assert_eq!(codes, [0, 1, 64, 74, 78]);
    }
}
