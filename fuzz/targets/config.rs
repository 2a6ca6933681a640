//! The configuration: a file, and after a line `---` variables, one a line. It can be used, or every problem says what is
//! wrong; and what is shown of it holds no secret.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reminder_worker::config::{Config, Inputs, Override};
use tempfile::TempDir;

/// In memory where the system has such a place: one is written a run.
static FILE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let path = dir.path().join("worker.toml");
    (dir, path)
});

/// Stands for a secret wherever an input has it as a token.
const SECRET: &str = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t";

fuzz_target!(|text: &str| {
    let (file, variables) = text.split_once("\n---\n").unwrap_or((text, ""));
    std::fs::write(&FILE.1, file).expect("a file");
    let pairs = || variables.lines().filter_map(|line| line.split_once('='));
    let env = pairs().map(|(name, value)| (name.into(), value.into())).collect();
    let flags = pairs()
        .filter_map(|(name, value)| {
            Some(Override {
                flag: "--set",
                key: name.strip_prefix("--set ")?.to_owned(),
                value: value.to_owned(),
            })
        })
        .collect();
    let shown = match Config::load(&Inputs { file: Some(FILE.1.clone()), env, flags }) {
        Ok(loaded) => format!("{:?} {:?}", loaded.config, loaded.settings),
        Err(invalid) => {
            assert!(!invalid.problems.is_empty());
            invalid.to_string()
        }
    };
    let only_as_token = file.lines().filter(|line| line.contains(SECRET)).all(|line| {
        ["token = ", "api_token = "]
            .iter()
            .any(|key| line.strip_prefix(key) == Some(&format!("\"{SECRET}\"")))
    });
    assert!(!only_as_token || variables.contains(SECRET) || !shown.contains(SECRET), "{shown}");
});
