//! The sidecar without its sockets: settings, broker, apps and the tasks that join them.
//!
//! The HTTP API ([`Runtime::router`]) and the deliveries both hang on this. Replays drive it with a channel
//! and a clock of their own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use tokio::sync::{Mutex, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::broker::{Broker, BrokerError, Cursor, Record};
use super::chance::Chance;
use super::channel::{AppChannel, CallError};
use super::deliver::Consumer;
use super::observe::{Observation, Observers};
use super::subscriptions::{self, Subscription};
use super::wrap::Message;
use super::{App, Settings, api, app_health, batch, deliver};
use crate::clock::Clock;

/// The header that carries API tokens both ways.
pub(crate) const TOKEN_HEADER: HeaderName = HeaderName::from_static("dapr-api-token");

/// Messages in flight to one app on Redis: the component's default `concurrency`.
pub(crate) const REDIS_WORKERS: usize = 10;

/// The pause before a subscription that failed is tried again, doubled each time up to the longest: what stands in
/// its way is mended by hand.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(1);
const SUBSCRIBE_AGAIN_MAX: Duration = Duration::from_secs(30);

/// One app and what its deliveries share.
pub(crate) struct AppState {
    pub(crate) app: App,
    pub(crate) id: Arc<str>,
    /// On Kafka one bulk handler of an app runs at a time, whatever its topic.
    pub(crate) bulk_turn: Mutex<()>,
    /// On Redis the topics of an app share their workers.
    pub(crate) workers: Arc<Semaphore>,
    /// What its probes say; true for ever where there are none.
    pub(crate) healthy: watch::Sender<bool>,
    /// What it subscribed to, once that was done.
    pub(crate) subscriptions: OnceLock<Vec<Subscription>>,
}

/// The sidecar without its sockets.
pub struct Runtime {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) channel: Arc<dyn AppChannel>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) token: CancellationToken,
    pub(crate) tracker: TaskTracker,
    pub(crate) broker: Broker,
    pub(crate) observers: Observers,
    pub(crate) apps: Vec<Arc<AppState>>,
}

impl Runtime {
    /// A runtime over a broker in memory that does nothing yet: see [`Runtime::discover`] and
    /// [`Runtime::router`].
    #[must_use]
    pub fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        channel: Arc<dyn AppChannel>,
        chance: Arc<dyn Chance>,
        token: CancellationToken,
        tracker: TaskTracker,
    ) -> Arc<Self> {
        let broker = Broker::memory(settings.profile, Arc::clone(&clock), Arc::clone(&chance));
        Self::over(broker, settings, clock, channel, chance, token, tracker)
    }

    /// A runtime over `broker`.
    pub(crate) fn over(
        broker: Broker,
        settings: Settings,
        clock: Arc<dyn Clock>,
        channel: Arc<dyn AppChannel>,
        chance: Arc<dyn Chance>,
        token: CancellationToken,
        tracker: TaskTracker,
    ) -> Arc<Self> {
        let state = |app: &App| {
            Arc::new(AppState {
                app: app.clone(),
                id: app.app_id.as_str().into(),
                bulk_turn: Mutex::new(()),
                workers: Arc::new(Semaphore::new(REDIS_WORKERS)),
                healthy: watch::Sender::new(settings.app_health.is_none()),
                subscriptions: OnceLock::new(),
            })
        };
        let apps = settings.apps.iter().map(state).collect();
        let observers = Observers::new();
        Arc::new(Self { settings, clock, channel, chance, token, tracker, broker, observers, apps })
    }

    /// The HTTP API.
    pub fn router(self: &Arc<Self>) -> Router {
        api::router(self)
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn observe(&self) -> broadcast::Receiver<Observation> {
        self.observers.listen()
    }

    /// Asks each app, as soon as its port is open, what it subscribes to, and begins to deliver.
    pub fn discover(self: &Arc<Self>) {
        for app in &self.apps {
            if let Some(check) = &self.settings.app_health {
                self.spawn(app_health::probe(Arc::clone(self), Arc::clone(app), check.clone()));
            }
            self.spawn(Arc::clone(self).keep_subscribed(Arc::clone(app)));
        }
    }

    /// Asks an app what it subscribes to and subscribes for it; as long as it is well where a group has members.
    async fn keep_subscribed(self: Arc<Self>, app: Arc<AppState>) {
        let list = subscriptions::ask(&self, &app).await;
        let topics: Vec<&str> = list.iter().map(|subscription| subscription.topic.as_str()).collect();
        while !topics.is_empty() {
            let membership = self.token.child_token();
            let subscribe = || self.subscribe(&app, &list, &topics, &membership);
            at_last(&*self.clock, subscribe, |error, pause| {
                tracing::error!(app = %app.id, ?topics, %error, "not subscribed; tried again in {pause:?}");
            })
            .await;
            tracing::info!(app = %app.id, ?topics, "subscribed");
            // The same ones every time.
            let _ = app.subscriptions.set(list.clone());
            if !self.broker.has_members() {
                return;
            }
            app.ill().await;
            membership.cancel();
            tracing::info!(app = %app.id, "left the group until the app is well");
            app.well().await;
        }
        let _ = app.subscriptions.set(list);
    }

    /// The id of the app whose sidecar this is.
    pub(crate) fn app_id(&self) -> &str {
        self.settings.apps.first().map_or("sidecar", |app| &app.app_id)
    }

    /// Whether the app whose sidecar this is has been asked for its subscriptions, and has them.
    pub(crate) fn ready(&self) -> bool {
        self.apps.first().is_none_or(|app| app.subscriptions.get().is_some())
    }

    fn subscribe(
        self: &Arc<Self>,
        app: &Arc<AppState>,
        list: &[Subscription],
        topics: &[&str],
        membership: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let (runtime, app, list) = (Arc::clone(self), Arc::clone(app), list.to_vec());
        let group = Arc::clone(&app.id);
        let claim = move |cursor: Cursor| {
            // A cursor is on a topic that was asked for.
            let Some(subscription) = list.iter().find(|s| s.topic == cursor.topic()) else { return };
            let consumer = Consumer::new(Arc::clone(&runtime), Arc::clone(&app), subscription.clone());
            let (consumer, revoked) = (Arc::new(consumer), cursor.revoked());
            match subscription.bulk {
                Some(gathering) => {
                    let delivering = batch::run(consumer, cursor, gathering);
                    runtime.spawn(async move { _ = revoked.run_until_cancelled(delivering).await });
                }
                None => {
                    let delivering = deliver::run(consumer, cursor);
                    runtime.spawn(async move { _ = revoked.run_until_cancelled(delivering).await });
                }
            }
        };
        self.broker.subscribe(&group, topics, Box::new(claim), membership, &self.tracker)
    }

    /// Runs `task` until it ends or the sidecar is told to stop.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let token = self.token.clone();
        self.tracker.spawn(async move {
            // Told to stop, the task is dropped where it waits: see the races of the module head.
            let _ = token.run_until_cancelled(task).await;
        });
    }

    /// Puts a message on a topic. Its place among others is taken by the call; the answer comes when it is safe.
    pub(crate) fn put(
        &self,
        topic: &str,
        message: Message,
    ) -> impl Future<Output = Result<Arc<Record>, BrokerError>> + Send + use<'_> {
        let taken = self.broker.publish(topic, message);
        async move {
            let record = taken.await?;
            self.observers.tell(|| Observation::Published {
                topic: Arc::clone(&record.topic),
                key: record.key.as_deref().map(|key| String::from_utf8_lossy(key).into()),
                value: record.message.value.clone(),
                at: self.clock.now(),
            });
            Ok(record)
        }
    }

    /// A GET to an app, with the headers daprd sends.
    pub(crate) async fn get(&self, app: &AppState, path: &str) -> Result<Response<Bytes>, CallError> {
        let request = Request::get(format!("http://{}{path}", app.app.address))
            .header(CONTENT_TYPE, "application/json")
            .header("dapr-app-id", app.app.app_id.as_str());
        let request = request.body(Bytes::new()).map_err(|e| CallError(e.to_string()))?;
        self.call(app, request).await
    }

    /// Makes a call to an app, with its token and within the time it has.
    pub(crate) async fn call(
        &self,
        app: &AppState,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, CallError> {
        if let Some(token) = &app.app.api_token {
            let mut token =
                HeaderValue::from_str(token.expose()).map_err(|e| CallError(format!("its token: {e}")))?;
            token.set_sensitive(true);
            request.headers_mut().insert(TOKEN_HEADER, token);
        }
        let limit = self.settings.delivery_timeout;
        tokio::select! {
            reply = self.channel.call(request) => reply,
            () = self.clock.wait(limit) => Err(CallError(format!("no answer within {limit:?}"))),
        }
    }
}

/// Makes attempts until one succeeds; what fails is told with the pause that follows.
async fn at_last<E>(
    clock: &dyn Clock,
    mut attempt: impl FnMut() -> Result<(), E>,
    tell: impl Fn(E, Duration),
) {
    let mut pause = SUBSCRIBE_AGAIN;
    while let Err(error) = attempt() {
        tell(error, pause);
        clock.wait(pause).await;
        pause = SUBSCRIBE_AGAIN_MAX.min(pause * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TokioClock;
    use crate::domain::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_again_ever_more_seldom_until_it_succeeds() {
        let clock = TokioClock::starting_at(Timestamp::from_millis(0));
        let mut at = Vec::new();
        let attempt = || {
            at.push(clock.monotonic().as_secs());
            if at.len() < 8 { Err(()) } else { Ok(()) }
        };
        at_last(&clock, attempt, |(), pause| assert!(pause <= SUBSCRIBE_AGAIN_MAX)).await;
        assert_eq!(at, [0, 1, 3, 7, 15, 31, 61, 91]);
    }
}
