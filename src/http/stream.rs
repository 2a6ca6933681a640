//! The live stream of reminders and digests that came back through the broker, as server-sent events.
//!
//! A slow reader is dropped, never waited for; a reader that was dropped, or reconnects, goes on with what comes
//! then. The stream is for watching: what must not be missed is in the list of reminders.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::access::Scope;
use super::api::Api;
use super::problem::Problem;
use crate::intake::{Live, LiveReminder};
use crate::telemetry;

/// Most readers at once: some dashboards, with room for those that have not noticed that they are gone.
pub(super) const READERS_MAX: usize = 64;
/// How often a silent stream shows that it lives, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The readers of the stream. Clones are the same.
#[derive(Clone)]
pub(super) struct Streams {
    live: Live,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Streams {
    pub(super) fn new(live: Live, stop: CancellationToken) -> Self {
        Self { live, places: Arc::new(Semaphore::new(READERS_MAX)), stop }
    }

    /// Waits until the worker stops.
    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Whether the worker stops.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    fn read(&self) -> Result<Reader, Problem> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Problem::later(format!("{READERS_MAX} readers follow the stream already; close one of them"))
        })?;
        let reader =
            Reader { reminders: self.live.subscribe(), places: self.places.clone(), place: Some(place) };
        reader.count();
        Ok(reader)
    }
}

/// One reader; its place is free again when it goes.
struct Reader {
    reminders: broadcast::Receiver<Arc<LiveReminder>>,
    places: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
}

impl Reader {
    /// The next reminder; `None` ends the stream, because the reader was too slow or the worker stops.
    async fn next(&mut self) -> Option<Arc<LiveReminder>> {
        match self.reminders.recv().await {
            Ok(reminder) => Some(reminder),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                telemetry::stream_dropped();
                None
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next one that `scope` may see. Where that can't be told the stream ends: nothing is shown in doubt.
    async fn next_of(&mut self, scope: &Scope, api: &Api) -> Option<Arc<LiveReminder>> {
        loop {
            let reminder = self.next().await?;
            if *scope == Scope::All {
                return Some(reminder);
            }
            let (scope, task) = (scope.clone(), reminder.task.clone());
            if api.read(move |view| scope.has(view, &task)).await.ok()? {
                return Some(reminder);
            }
        }
    }

    fn count(&self) {
        telemetry::stream_clients(READERS_MAX.saturating_sub(self.places.available_permits()));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.place = None;
        self.count();
    }
}

/// `GET /api/v1/reminders/stream`: events called `reminder_due` and `reminder_digest`, each with its `event_id` as the id.
/// A user sees those of tasks that are the user's own by what is kept, whatever the event says.
pub(super) async fn stream(
    State(api): State<Api>,
    scope: Scope,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let reader = api.streams.read()?;
    let stop = api.streams.stop.clone();
    let events = stream::unfold((reader, api, scope), async |(mut reader, api, scope)| {
        let reminder = reader.next_of(&scope, &api).await?;
        let event = Event::default().event(reminder.kind).id(reminder.id.to_string()).data(&reminder.json);
        Some((Ok(event), (reader, api, scope)))
    });
    let events = events.take_until(async move { stop.cancelled().await });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
