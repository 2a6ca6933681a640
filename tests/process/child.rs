//! A process that is started, signalled and waited for, and the log that it writes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::wait::until;

/// A process; it is killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        std::thread::spawn(move || {
            errors.lines().map_while(Result::ok).for_each(|l| lines.lock().unwrap().push(l));
        });
        Self { child, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines of its log that say `message`.
    pub(crate) fn said(&self, message: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"].as_str().is_some_and(|m| m.contains(message))).collect()
    }

    /// Waits for a line of its log that says `message`.
    pub(crate) async fn logs(&self, message: &str) -> Value {
        until(message, async || {
            let found = self.said(message).pop();
            assert!(found.is_some() || self.is_open(), "it ended: {:?}", self.log.lock().unwrap());
            found
        })
        .await
    }

    /// Whether its log may still grow.
    fn is_open(&self) -> bool {
        Arc::strong_count(&self.log) > 1
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        until("the end of the process", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
