//! The places for connections that a listener has, and whose place is given up when all are taken.
//!
//! While there is room nobody is disturbed: a client that keeps a connection to use it again keeps it as long as it likes.
//! Only when somebody waits and none is free does the connection go that has been without a request for longest, and for
//! [`IDLE_MIN`] at least. A request whose head or answer takes its time counts as none, so whoever fills the places with
//! halves of requests, or with answers that are not read, loses them to those who ask.
//!
//! Race it accepts: a request that comes just as its connection is given up is lost with it, as it is where a server
//! restarts; the client had been silent for half a minute, and others were waiting.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, millis};

/// How long a connection must have been without a request before it can be given up: longer than anybody takes to send a
/// head, or to read an answer, on a network that works.
pub const IDLE_MIN: Duration = Duration::from_secs(30);
/// How often is looked whether somebody has become idle for long enough, while others wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The places of one listener. Clones are the same.
#[derive(Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<Taken>>,
    clock: Arc<dyn Clock>,
}

/// The connections that have a place, by number.
#[derive(Default)]
struct Taken {
    last: u64,
    seats: BTreeMap<u64, Arc<Seat>>,
}

struct Seat {
    /// Requests under way.
    requests: AtomicUsize,
    /// Since when there are none, in the clock's monotonic milliseconds.
    idle_since: AtomicU64,
    given_up: CancellationToken,
}

impl Places {
    /// So many places.
    #[must_use]
    pub fn new(most: usize, clock: Arc<dyn Clock>) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), taken: Arc::default(), clock }
    }

    /// A place for a connection that has come; where none is free, another's, as soon as one can be given up.
    pub async fn take(&self) -> Place {
        loop {
            // The semaphore is never closed; a place too many would be the lesser evil.
            let permit = match self.free.clone().try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    self.give_one_up();
                    tokio::select! {
                        permit = self.free.clone().acquire_owned() => permit.ok(),
                        () = self.clock.wait(LOOK_AGAIN) => continue,
                    }
                }
            };
            return self.seat(permit);
        }
    }

    fn seat(&self, permit: Option<OwnedSemaphorePermit>) -> Place {
        let seat = Arc::new(Seat {
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(now(&*self.clock)),
            given_up: CancellationToken::new(),
        });
        let mut taken = self.taken();
        taken.last += 1;
        let number = taken.last;
        taken.seats.insert(number, Arc::clone(&seat));
        drop(taken);
        Place { number, seat, places: self.clone(), _permit: permit }
    }

    /// Tells the connection that has been idle for longest that its place is wanted.
    fn give_one_up(&self) {
        let now = now(&*self.clock);
        let taken = self.taken();
        let idle = taken.seats.values().filter(|seat| seat.requests.load(Ordering::Acquire) == 0);
        let longest = idle.min_by_key(|seat| seat.idle_since.load(Ordering::Acquire));
        let least = millis(IDLE_MIN);
        if let Some(seat) = longest
            && now.saturating_sub(seat.idle_since.load(Ordering::Acquire)) >= least
        {
            seat.given_up.cancel();
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // A map stays a map whoever panicked.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; free again when it is dropped.
pub struct Place {
    number: u64,
    seat: Arc<Seat>,
    places: Places,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// Comes when the place is wanted by another: the connection is to be dropped.
    pub async fn given_up(&self) {
        self.seat.given_up.cancelled().await;
    }

    /// A request that begins; it is over when what is returned is dropped.
    pub(crate) fn requests(&self) -> Requests {
        Requests { seat: Arc::clone(&self.seat), clock: Arc::clone(&self.places.clock) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().seats.remove(&self.number);
    }
}

/// Counts the requests of a connection.
#[derive(Clone)]
pub(crate) struct Requests {
    seat: Arc<Seat>,
    clock: Arc<dyn Clock>,
}

impl Requests {
    /// One that begins.
    fn begin(&self) -> Request {
        self.seat.requests.fetch_add(1, Ordering::AcqRel);
        Request(self.clone())
    }

    /// One that begins now and is over when `answer` is there.
    pub(crate) fn answered<F: Future>(&self, answer: F) -> impl Future<Output = F::Output> + use<F> {
        let under_way = self.begin();
        async move {
            let answer = answer.await;
            drop(under_way);
            answer
        }
    }
}

/// A request under way.
struct Request(Requests);

impl Drop for Request {
    fn drop(&mut self) {
        let Requests { seat, clock } = &self.0;
        // First, so that nobody sees a connection without requests that seems to have been so for long.
        seat.idle_since.store(now(&**clock), Ordering::Release);
        seat.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

fn now(clock: &dyn Clock) -> u64 {
    millis(clock.monotonic())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::clock::TokioClock;
    use crate::domain::Timestamp;

    fn places(most: usize) -> (Places, Arc<TokioClock>) {
        let clock = Arc::new(TokioClock::starting_at(Timestamp::from_millis(0)));
        (Places::new(most, Arc::<TokioClock>::clone(&clock)), clock)
    }

    fn is_wanted(place: &Place) -> bool {
        place.given_up().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn while_there_is_room_nobody_goes_however_long_it_is_idle() {
        let (places, clock) = places(2);
        let first = places.take().await;
        clock.sleep(IDLE_MIN * 100).await;
        let second = places.take().await;
        assert!(!is_wanted(&first) && !is_wanted(&second));
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_is_idle_for_longest_goes_when_another_waits_and_not_before_the_bound() {
        let (places, clock) = places(3);
        let busy = places.take().await;
        let request = busy.requests().begin();
        let first = places.take().await;
        clock.sleep(Duration::from_secs(5)).await;
        let second = places.take().await;
        let mut waiting = std::pin::pin!(places.take());
        clock.sleep(IDLE_MIN - Duration::from_secs(6)).await;
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(!is_wanted(&first), "idle for a second less than the bound");
        tokio::select! {
            _ = waiting.as_mut() => panic!("nobody has left yet"),
            () = first.given_up() => {}
        }
        assert!(clock.monotonic() >= IDLE_MIN && clock.monotonic() <= IDLE_MIN + LOOK_AGAIN * 2);
        assert!(!is_wanted(&second) && !is_wanted(&busy));
        drop(first);
        waiting.await;
        drop(request);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_makes_its_connection_the_last_to_go() {
        let (places, clock) = places(2);
        let (asking, silent) = (places.take().await, places.take().await);
        clock.sleep(IDLE_MIN * 2).await;
        drop(asking.requests().begin());
        let mut waiting = std::pin::pin!(places.take());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(is_wanted(&silent) && !is_wanted(&asking));
    }
}
