//! What a terminal may be shown: colour where one is attached, and no control characters ever.

use std::ffi::OsString;
use std::fmt;
use std::io::IsTerminal as _;

/// Which outputs take colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Colours {
    /// Standard output.
    pub(crate) out: Paint,
    /// Standard error.
    pub(crate) err: Paint,
}

impl Colours {
    /// Colour where a terminal is attached, unless `NO_COLOR` is set (<https://no-color.org>) or the terminal
    /// calls itself dumb.
    pub(crate) fn of_process(env: &[(OsString, OsString)]) -> Self {
        let wanted = wanted(env);
        Self {
            out: Paint(wanted && std::io::stdout().is_terminal()),
            err: Paint(wanted && std::io::stderr().is_terminal()),
        }
    }
}

fn wanted(env: &[(OsString, OsString)]) -> bool {
    !env.iter()
        .any(|(name, value)| (name == "NO_COLOR" && !value.is_empty()) || (name == "TERM" && value == "dumb"))
}

/// Paints text, or leaves it alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    /// Something went wrong.
    pub(crate) fn red(self, text: impl fmt::Display) -> String {
        self.paint("31", text)
    }

    /// Something went well.
    pub(crate) fn green(self, text: impl fmt::Display) -> String {
        self.paint("32", text)
    }

    /// Something is to come.
    pub(crate) fn yellow(self, text: impl fmt::Display) -> String {
        self.paint("33", text)
    }

    /// A heading.
    pub(crate) fn bold(self, text: impl fmt::Display) -> String {
        self.paint("1", text)
    }

    /// An aside.
    pub(crate) fn dim(self, text: impl fmt::Display) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: impl fmt::Display) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// `text` in one line without control characters: titles and reasons come from strangers, and a terminal
/// obeys what it is shown.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str, value: &str) -> Vec<(OsString, OsString)> {
        vec![(name.into(), value.into())]
    }

    #[test]
    fn no_color_and_a_dumb_terminal_are_honoured() {
        assert!(!wanted(&env("NO_COLOR", "1")));
        assert!(wanted(&env("NO_COLOR", "")), "set but empty means nothing, as no-color.org says");
        assert!(!wanted(&env("TERM", "dumb")));
        assert!(wanted(&env("TERM", "xterm")));
    }

    #[test]
    fn paint_is_only_seen_where_it_is_wanted() {
        assert_eq!(Paint(true).red("no"), "\x1b[31mno\x1b[0m");
        assert_eq!(Paint(false).red("no"), "no");
    }

    #[test]
    fn a_title_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\nc\u{9b}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
    }
}
