//! A Kafka of its own for a suite or a benchmark in Rust: the script `broker` beside this file, as a value.
//!
//! Owns how the script is called. Must never know what runs on the broker. Starting installs nothing: where the
//! script's needs are not met, [`missing`] says which, and that `tests/kafka/broker fetch` meets them.

use std::process::{Command, Stdio};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/broker");

/// A running broker; stopped and erased when dropped, or when this process has ended.
pub(crate) struct Broker {
    /// `HOST:PORT`
    pub(crate) address: String,
    dir: TempDir,
}

/// What a broker needs and is not there.
pub(crate) fn missing() -> Option<String> {
    script(&["fetched"]).err()
}

impl Broker {
    /// Comes back once it answers.
    pub(crate) fn start() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| format!("no directory for a broker: {error}"))?;
        let mut broker = Self { address: String::new(), dir };
        broker.address = broker.tell(&["start", "--owner", &std::process::id().to_string()])?;
        Ok(broker)
    }

    /// Runs a command of the script for this broker: `kill`, `pause`, `resume`, `start`; what it prints.
    pub(crate) fn tell(&self, command: &[&str]) -> Result<String, String> {
        let dir = self.dir.path().to_string_lossy();
        script(&[command, &["--dir", &dir]].concat())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Err(why) = self.tell(&["stop", "--erase"]) {
            eprintln!("the broker in {} was not stopped: {why}", self.dir.path().display());
        }
    }
}

fn script(arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(SCRIPT).args(arguments).stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("tests/kafka/broker does not run: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}
