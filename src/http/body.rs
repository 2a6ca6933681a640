//! Request bodies, bounded in size and time.
//!
//! A body that is too large is read to its end and thrown away, beginning apart: an answer given earlier would
//! break the connection under the sender, who would take that for a failure that passes and send it again.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use crate::clock::Clock;

/// How long a body may take to come: a loopback neighbour needs milliseconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Arrived {
    /// All of it.
    Whole(Bytes),
    /// It is larger than the limit; how it begins, and its length in bytes.
    TooLarge(Bytes, u64),
    /// It broke off or took too long.
    Broken,
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn arrive(body: Body, limit: usize, clock: &dyn Clock) -> Arrived {
    tokio::select! {
        arrived = read(body, limit) => arrived,
        () = clock.sleep(BODY_TIMEOUT) => Arrived::Broken,
    }
}

async fn read(body: Body, limit: usize) -> Arrived {
    let mut chunks = body.into_data_stream();
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    let mut too_large = false;
    let mut length = 0_u64;
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { return Arrived::Broken };
        length = length.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        let so_far = first.len() + whole.len();
        too_large |= so_far + chunk.len() > limit;
        if too_large {
            // The beginning is there already, unless the very first chunk was too much.
            if so_far == 0 {
                first = chunk.slice(..limit);
            }
        } else if so_far == 0 {
            // Most bodies come in one chunk, which then need not be copied.
            first = chunk;
        } else {
            if !first.is_empty() {
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&chunk);
        }
    }
    let bytes = if first.is_empty() { whole.freeze() } else { first };
    if too_large { Arrived::TooLarge(bytes, length) } else { Arrived::Whole(bytes) }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::clock::TokioClock;
    use crate::domain::Timestamp;

    async fn of(chunks: &[&'static str], limit: usize) -> Arrived {
        let chunks = chunks.iter().map(|c| Ok::<_, std::io::Error>(Bytes::from_static(c.as_bytes())));
        let body = Body::from_stream(stream::iter(chunks.collect::<Vec<_>>()));
        arrive(body, limit, &TokioClock::starting_at(Timestamp::from_millis(0))).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_on_the_limit_is_whole_and_one_byte_more_is_too_large() {
        for (chunks, limit, arrived) in [
            (&["abcd"][..], 4, Arrived::Whole("abcd".into())),
            (&["ab", "cd"], 4, Arrived::Whole("abcd".into())),
            (&["a", "b", "cd"], 4, Arrived::Whole("abcd".into())),
            (&[], 4, Arrived::Whole(Bytes::new())),
            (&["abcde"], 4, Arrived::TooLarge("abcd".into(), 5)),
            (&["ab", "cde", "f"], 4, Arrived::TooLarge("ab".into(), 6)),
        ] {
            assert_eq!(of(chunks, limit).await, arrived, "{chunks:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_broken_off() {
        let clock = TokioClock::starting_at(Timestamp::from_millis(0));
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(arrive(body, 4, &clock).await, Arrived::Broken);
        assert_eq!(clock.now(), Timestamp::from_millis(30_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_breaks_off_is_not_taken_for_a_whole_one() {
        let chunks = [Ok(Bytes::from_static(b"ab")), Err(std::io::Error::other("gone"))];
        let clock = TokioClock::starting_at(Timestamp::from_millis(0));
        assert_eq!(arrive(Body::from_stream(stream::iter(chunks)), 4, &clock).await, Arrived::Broken);
    }
}
