//! Waiting for something to be seen, and the machine's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Far beyond what anything takes, even on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until `look` finds something, and returns it.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "never seen: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
