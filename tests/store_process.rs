//! The store across processes: killed in the middle of commits, held by another, short of descriptors.
//!
//! The children are tests of this file that are ignored, run by name in a process of their own.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reminder_worker::domain::{Record, Reminder, Rule, TaskId, Timestamp};
use reminder_worker::store::sled::SledStore;
use reminder_worker::store::{Batch, Meta, Op, OpenError, Store};
use tempfile::TempDir;

const CACHE_MB: u64 = 16;
/// Tells a child where the store is.
const PATH: &str = "STORE_PROCESS_TEST_PATH";
/// Tasks in one commit of the child's.
const GROUP: u64 = 8;

fn child(test: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", test]).env(PATH, path);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn start(test: &str, path: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut started = child(test, path).spawn().unwrap();
    let output = BufReader::new(started.stdout.take().unwrap());
    (started, output)
}

/// Held while a test runs: a process just forked holds, until it runs its own program, what its parent held at
/// that moment, and so the locks of a test beside.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The path that the parent gave, if there is one.
fn given() -> PathBuf {
    std::env::var_os(PATH).expect("this is the child of another test").into()
}

fn task(commit: u64, number: u64) -> TaskId {
    TaskId::new(format!("task {commit} {number}")).unwrap()
}

fn record(commit: u64) -> Record {
    let at = Timestamp::from_millis(i64::try_from(commit).unwrap());
    Record { reminders: vec![Reminder::pending(None, Rule::Offset(0), at)], ..Record::default() }
}

/// The `commit`th batch: new tasks, the former ones changed, a body in parts.
fn batch(commit: u64) -> Batch {
    let mut batch = Batch::default();
    for number in 0..GROUP {
        batch.replace(&task(commit, number), None, Some(Box::new(record(commit))));
    }
    let entry = reminder_worker::store::Quarantined {
        at: Timestamp::from_millis(0),
        topic: "task-events".into(),
        code: "c".into(),
        reason: "r".into(),
        length: 0,
    };
    let fill = u8::try_from(commit % 251).unwrap();
    batch.push(Op::PutQuarantined(commit % 4, entry, vec![fill; 40_000]));
    batch.push(Op::PutMeta(Box::new(Meta { next_claim: commit, ..Meta::default() })));
    batch
}

#[test]
#[ignore = "the child of `what_was_acknowledged_is_there_after_a_kill`"]
fn child_commits_until_killed() {
    let store = SledStore::open(&given(), CACHE_MB).unwrap();
    let first = store.meta().unwrap().next_claim + 1;
    for commit in first.. {
        store.commit(&batch(commit)).unwrap();
        println!("acknowledged {commit}");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let _alone = alone();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    let mut acknowledged = 0;
    for round in 0..6 {
        let (mut process, output) = start("child_commits_until_killed", &path);
        let wanted = acknowledged + 20 + round * 37;
        let mut killed = false;
        for line in output.lines() {
            let line = line.unwrap();
            let Some(number) = line.strip_prefix("acknowledged ") else { continue };
            acknowledged = number.parse().unwrap();
            if acknowledged >= wanted && !killed {
                process.kill().unwrap();
                killed = true;
            }
        }
        process.wait().unwrap();
        assert!(killed, "the child ended by itself in round {round}");
        let store = SledStore::open(&path, CACHE_MB).unwrap();
        let kept = store.meta().unwrap().next_claim;
        // The last commit may have been durable before it could be told.
        assert!(kept == acknowledged || kept == acknowledged + 1, "{kept} of {acknowledged}");
        for commit in 1..=kept {
            for number in 0..GROUP {
                assert_eq!(store.record(&task(commit, number)).unwrap(), Some(record(commit)));
            }
        }
        assert_eq!(store.record(&task(kept + 1, 0)).unwrap(), None);
        assert_eq!(store.pending(None, usize::MAX).unwrap().len() as u64, kept * GROUP);
        let fill = u8::try_from(kept % 251).unwrap();
        assert!(store.quarantined_body(kept % 4).unwrap() == vec![fill; 40_000]);
        acknowledged = kept;
    }
}

#[test]
#[ignore = "the child of `a_store_held_by_another_process_says_by_which`"]
fn child_holds_the_store() {
    let _store = SledStore::open(&given(), CACHE_MB).unwrap();
    println!("opened");
    // Until the parent kills it, or is gone itself.
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn a_store_held_by_another_process_says_by_which() {
    let _alone = alone();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    let mut command = child("child_holds_the_store", &path);
    let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    assert!(output.lines().map(Result::unwrap).any(|line| line.ends_with("opened")));
    let error = SledStore::open(&path, CACHE_MB).err().unwrap();
    let holder = format!("process {}", process.id());
    assert!(matches!(&error, OpenError::Held { holder: by, .. } if by.starts_with(&holder)), "{error}");
    process.kill().unwrap();
    process.wait().unwrap();
    SledStore::open(&path, CACHE_MB).unwrap();
}

#[test]
#[ignore = "the child of `a_process_out_of_descriptors_says_so`"]
fn child_opens_and_reports() {
    match SledStore::open(&given(), CACHE_MB) {
        Ok(_) => println!("report: opened"),
        Err(error) => println!("report: {error}"),
    }
}

#[test]
fn a_process_out_of_descriptors_says_so() {
    let _alone = alone();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    SledStore::open(&path, CACHE_MB).unwrap().close();
    let mut refused = 0;
    // From too few to run at all to enough: each outcome in between is the advice or a store that is open.
    for limit in 3..14 {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\""));
        command.arg(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "child_opens_and_reports"]).env(PATH, &path);
        let output = command.output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout);
        let Some((_, report)) = output.split_once("report: ") else { continue };
        if !report.starts_with("opened") {
            assert!(report.contains("ulimit -n"), "{limit}: {report}");
            refused += 1;
        }
    }
    assert!(refused > 0);
    SledStore::open(&path, CACHE_MB).unwrap();
}

#[test]
fn damage_on_which_the_engine_panics_is_told_in_its_words_and_as_one_error() {
    let _alone = alone();
    const SEGMENT: usize = 4 * 1024 * 1024;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    SledStore::open(&path, CACHE_MB).unwrap().close();
    // The same segment twice.
    let mut bytes = std::fs::read(path.join("db")).unwrap();
    bytes.resize(SEGMENT, 0);
    std::fs::write(path.join("db"), bytes.repeat(2)).unwrap();
    let output = child("child_opens_and_reports", &path).stderr(Stdio::piped()).output().unwrap();
    let (output, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let (_, report) = output.split_once("report: ").unwrap();
    assert!(report.contains("is damaged: the engine panicked: "), "{report}");
    assert!(report.contains("duplicate segment"), "{report}");
    assert!(!errors.contains("panicked"), "{errors}");
}
