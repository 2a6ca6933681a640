//! Waiting for something to be seen, and the machine's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Far beyond what anything takes, even on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until `look` finds something, and returns it.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = until_within(DEADLINE, look).await;
    found.unwrap_or_else(|| panic!("never seen: {what}"))
}

/// The same for at most `limit`; `None` where it was not seen by then.
pub(crate) async fn until_within<T>(limit: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        let found = look().await;
        if found.is_some() || began.elapsed() > limit {
            return found;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
