//! Request bodies, bounded in size and time, each and all together.
//!
//! A body that is too large is read to its end and thrown away, beginning apart: an answer given earlier would
//! break the connection under the sender, who would take that for a failure that passes and send it again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::intake::BULK_MAX_BYTES;
use crate::telemetry;

/// How long a body may take to come: a loopback neighbour needs milliseconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Room for all bodies that are under way at once, in KiB: two of the largest batches and 48 MiB of others. Without
/// it every connection could hold a largest one.
const ROOM_KIB: usize = 256 * 1024;

/// The room for bodies. Clones are the same.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_KIB)))
    }

    /// Waits for room for a body of so many bytes; where nobody knows, for the largest. All of it is taken before the
    /// first byte is read and in the order of asking, so no two half-read bodies wait for each other and a large one
    /// gets its turn. What is longer than the largest is thrown away as it comes.
    async fn take(&self, bytes: Option<u64>) -> Option<OwnedSemaphorePermit> {
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(BULK_MAX_BYTES);
        let kib = u32::try_from(bytes.min(BULK_MAX_BYTES).div_ceil(1024)).unwrap_or(u32::MAX);
        if kib == 0 {
            return None;
        }
        // The semaphore is never closed.
        self.0.clone().acquire_many_owned(kib).await.ok()
    }

    /// Bytes that are taken.
    fn taken(&self) -> u64 {
        // A few hundred thousand at most.
        1024 * u64::try_from(ROOM_KIB - self.0.available_permits()).unwrap_or(0)
    }
}

/// Lets a request in once there is room for its body, which is free again when it has been answered. Waiting loses
/// nothing: the body's time to come begins afterwards.
pub(super) async fn with_room(State(room): State<Room>, request: Request, next: Next) -> Response {
    let taken = room.take(request.body().size_hint().exact()).await;
    telemetry::bodies(room.taken());
    let response = next.run(request).await;
    drop(taken);
    telemetry::bodies(room.taken());
    response
}

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
        () = clock.wait(BODY_TIMEOUT) => Arrived::Broken,
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
    use futures_util::{FutureExt as _, stream};

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

    #[tokio::test]
    async fn bodies_fill_the_room_to_its_bound_and_the_next_one_waits_for_its_turn() {
        use crate::store::MIB;
        let room = Room::new();
        let largest = room.take(None).await;
        let longer_still = room.take(Some(u64::MAX)).await;
        let on_the_bound = room.take(Some(48 * MIB)).now_or_never();
        assert!(largest.is_some() && longer_still.is_some() && on_the_bound.is_some());
        assert_eq!(room.taken(), 256 * MIB, "the metric says so");
        let mut large = std::pin::pin!(room.take(Some(100 * MIB)));
        assert!(large.as_mut().now_or_never().is_none());
        let mut small = std::pin::pin!(room.take(Some(1)));
        assert!(small.as_mut().now_or_never().is_none());
        assert!(room.take(Some(0)).now_or_never().is_some(), "what has no body needs no room");
        drop(on_the_bound);
        assert!(small.as_mut().now_or_never().is_none(), "the large one came first");
        drop(largest);
        assert!(large.await.is_some() && small.await.is_some());
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
