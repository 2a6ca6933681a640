//! Events of tasks that are due now, and how a reminder is told to be one's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reminder_worker::domain::Timestamp;

/// How long before its due date a task says it was created: a reminder at or before its birth would be born expired.
const AGE: Duration = Duration::from_secs(1);
const NUMBER: &str = "\"task_id\":\"bench-";

/// A task of `run` with this number, due now: its reminder goes out as soon as it is known.
pub(crate) fn due_now(run: u64, n: usize) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let created = Timestamp::from_millis(i64::try_from((since - AGE).as_millis()).unwrap());
    let due = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap());
    format!(
        r#"{{"event_type":"task_created","timestamp":"{created}","producer":"bench","payload":{{{NUMBER}{run}-{n}","user_id":"user-{}","title":"a task to be reminded of","due_date":"{due}"}}}}"#,
        n % 1000
    )
}

/// The key that keeps a task's events in order.
pub(crate) fn key(run: u64, n: usize) -> String {
    format!("bench-{run}-{n}")
}

/// The number of the task that a message of `run` is about.
pub(crate) fn number(message: &[u8], run: u64) -> Option<usize> {
    let text = std::str::from_utf8(message).ok()?;
    let (_, rest) = text.split_once(NUMBER)?;
    let (id, _) = rest.split_once('"')?;
    let (of, n) = id.split_once('-')?;
    (of == run.to_string()).then(|| n.parse().ok())?
}
