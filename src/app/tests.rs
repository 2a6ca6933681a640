//! The worker whole, with real listeners and nobody behind the sidecar's address.

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use bytes::Bytes;

use super::*;
use crate::domain::tests::minute;
use crate::domain::{ByPriority, Nags, Policy, State, Verdict};
use crate::gauges::tests::METRICS;
use crate::scheduler::tests::clock::TestClock;
use crate::scheduler::tests::due_in;
use crate::scheduler::tests::store::FaultyStore;
use crate::store::sled::Erasing;
use crate::store::sled::{Shelf, in_memory};
use crate::writer::{Content, Delivery};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Ports that the system chooses, and a sidecar's address at which nobody listens.
fn config() -> Config {
    let mut config = Config::default();
    (config.app.host, config.ops.host) = (LOOPBACK, LOOPBACK);
    (config.app.port, config.ops.port) = (0, 0);
    let unused = TcpListener::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap();
    config.dapr.http_endpoint = format!("http://{unused}");
    config
}

struct Parts {
    store: Arc<FaultyStore>,
    clock: Arc<TestClock>,
    shutdown: Shutdown,
}

impl Parts {
    fn new() -> Self {
        let clock = Arc::new(TestClock::starting_at(minute(0)));
        let shutdown = Shutdown::new(clock.clone(), Duration::from_secs(10));
        Self { store: FaultyStore::new(), clock, shutdown }
    }

    /// A task of ann's, by its event.
    async fn tell_of_ann(&self, running: &Running) {
        let mut event = due_in("t", 60_000);
        event.statements.push(crate::domain::Statement::User(Some("ann".into())));
        let content = Content::Event(Box::new(event), Bytes::new());
        let delivery = Delivery { at: self.clock.now(), topic: "task-events".into(), content };
        assert_eq!(running.writer.deliver(vec![delivery]).await[0], Verdict::Success);
    }

    /// The store says that it was restored, and that users are to be erased of it.
    fn restore_with_users_to_erase(&self) {
        let mut batch = crate::store::Batch::default();
        let origin = crate::store::Restored::new(minute(0), minute(-60), "b");
        let origin = crate::store::Restored { erases: true, ..origin };
        batch.push(crate::store::Op::PutRestored(Box::new(origin)));
        self.store.commit(&batch).unwrap();
    }

    async fn start(&self, config: Config) -> Result<Running, AppError> {
        self.start_with(config, None).await
    }

    async fn start_with(&self, config: Config, backups: Option<Backups>) -> Result<Running, AppError> {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        start(config, store, backups, METRICS.clone(), clock, self.shutdown.clone()).await
    }

    async fn tell(&self, running: &Running, millis: i64) -> Verdict {
        let content = Content::Event(Box::new(due_in("t", millis)), Bytes::new());
        let delivery = Delivery { at: self.clock.now(), topic: "task-events".into(), content };
        running.writer.deliver(vec![delivery]).await[0]
    }
}

#[tokio::test(start_paused = true)]
async fn until_the_sidecar_has_answered_nothing_is_attempted_and_a_stop_ends_every_part() {
    let parts = Parts::new();
    let running = parts.start(config()).await.unwrap();
    assert_eq!(parts.tell(&running, 2_000).await, Verdict::Success);
    parts.clock.sleep(Duration::from_secs(60)).await;
    let reminder = parts.store.record(&crate::domain::tests::task("t")).unwrap().unwrap().reminders.remove(0);
    assert_eq!((reminder.state, reminder.attempts), (State::Pending, 0));
    parts.shutdown.stop();
    let stopped = parts.clock.now();
    running.wait().await.unwrap();
    assert_eq!(parts.shutdown.running(), Vec::<&str>::new());
    let took = parts.clock.now().since(stopped);
    assert!(took < Duration::from_secs(1), "nobody is waited for in vain: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_port_in_use_ends_the_start_and_names_the_port_and_its_setting() {
    let taken = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    type Take = fn(&mut Config, u16);
    let cases: [(Take, &str); 2] = [
        (|config, port| config.app.port = port, "app.port"),
        (|config, port| config.ops.port = port, "ops.port"),
    ];
    for (take, setting) in cases {
        let mut config = config();
        take(&mut config, port);
        let error = Parts::new().start(config).await.err().expect("the port is taken");
        assert!(matches!(error, AppError::Bind(_)), "{error}");
        let told = error.to_string();
        assert!(told.contains(setting) && told.contains(&port.to_string()), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_too_long_ends_the_worker_with_its_reason() {
    let parts = Parts::new();
    let running = parts.start(config()).await.unwrap();
    parts.store.fail_commits(i64::MAX);
    assert_eq!(parts.tell(&running, 60_000).await, Verdict::Retry);
    let ended = running.wait().await.unwrap_err();
    assert!(matches!(ended, AppError::Failing(StoreError::Unavailable(_))), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_commit_ends_the_start() {
    let parts = Parts::new();
    parts.store.fail_commits(1);
    let ended = parts.start(config()).await.err().expect("the policy cannot be committed");
    assert!(matches!(ended, AppError::Unusable(_)), "{ended}");
    assert_eq!(parts.shutdown.running(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn an_erasing_that_was_cut_off_is_finished_by_the_next_start_and_no_later_one_does_it_again() {
    let room = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(room.path().to_owned(), 1);
    let mut parts = Parts::new();
    let kept = async |parts: &mut Parts, is_told: bool| {
        let stop = parts.shutdown.soft().clone();
        let store = Arc::new(in_memory().unwrap());
        let backups = Backups::new(store, shelf.clone(), Duration::ZERO, parts.clock.clone(), stop);
        let running = parts.start_with(config(), Some(backups)).await.unwrap();
        if is_told {
            parts.tell_of_ann(&running).await;
        }
        parts.shutdown.stop();
        running.wait().await.unwrap();
        parts.shutdown = Shutdown::new(parts.clock.clone(), Duration::from_secs(10));
        parts.store.tasks(None, 9).unwrap().len()
    };
    assert_eq!(kept(&mut parts, true).await, 1);
    shelf.note_erasing("ann", parts.clock.now(), Erasing::Begins).unwrap();
    assert_eq!(kept(&mut parts, false).await, 0, "it is finished");
    assert_eq!(shelf.to_erase(None).unwrap(), []);
    parts.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(kept(&mut parts, true).await, 1, "the same user comes anew");
    assert_eq!(kept(&mut parts, false).await, 1, "and stays");
    assert_eq!(
        shelf.to_erase(Some(parts.clock.now())).unwrap(),
        [],
        "through a restore from a later backup too"
    );
}

#[tokio::test(start_paused = true)]
async fn notes_that_cant_be_read_keep_down_a_restored_worker_alone() {
    for restored in [false, true] {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(room.path().to_owned(), 1);
        // Its name is taken by what is no file.
        std::fs::create_dir(room.path().join("erased")).unwrap();
        let parts = Parts::new();
        if restored {
            parts.restore_with_users_to_erase();
        }
        let stop = parts.shutdown.soft().clone();
        let store = Arc::new(in_memory().unwrap());
        let backups = Backups::new(store, shelf, Duration::ZERO, parts.clock.clone(), stop);
        let started = parts.start_with(config(), Some(backups)).await;
        assert_eq!(matches!(started, Err(AppError::Erasing(_))), restored);
        assert_eq!(started.is_ok(), !restored);
    }
}

#[tokio::test(start_paused = true)]
async fn an_erasing_that_cant_be_finished_is_warned_of_and_tried_again_and_keeps_down_a_restored_worker_alone()
 {
    use crate::store::Store as _;
    for restored in [false, true] {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(room.path().to_owned(), 1);
        let parts = Parts::new();
        let running = parts.start(config()).await.unwrap();
        parts.tell_of_ann(&running).await;
        parts.shutdown.stop();
        running.wait().await.unwrap();
        shelf.note_erasing("ann", parts.clock.now(), Erasing::Begins).unwrap();
        if restored {
            parts.restore_with_users_to_erase();
        }
        let clock: Arc<dyn Clock> = parts.clock.clone();
        let (writer, commits) =
            CommitLoop::open(parts.store.clone(), settings(&config()), Arc::clone(&clock)).unwrap();
        let mut running = tokio::task::JoinSet::new();
        running.spawn(commits.run(|| ()));
        let stop = CancellationToken::new();
        let health = Health::new(Arc::clone(&clock), config().health, stop.clone());
        let store = Arc::new(in_memory().unwrap());
        let backups = Backups::new(store, shelf.clone(), Duration::ZERO, clock, stop);
        // The commit loop refuses the erasing.
        parts.store.fail_reads(1);
        let began = before_all(&writer, Some(&backups), &health).await;
        assert_eq!(parts.store.reads_to_fail(), 0);
        assert_eq!(matches!(began, Err(AppError::Erasing(_))), restored);
        assert_eq!(began.is_ok(), !restored, "{:?}", began.err());
        let warning = health.ready().warnings.get("erasing").cloned();
        assert_eq!(warning.is_some_and(|told| told.contains("a later start tries again")), !restored);
        assert!(shelf.to_erase(None).unwrap().iter().any(|erased| erased.user == "ann"), "the note stays");
        assert!(parts.store.record(&crate::domain::tests::task("t")).unwrap().is_some());
        before_all(&writer, Some(&backups), &health).await.unwrap();
        assert!(parts.store.record(&crate::domain::tests::task("t")).unwrap().is_none(), "the next does it");
        assert_eq!(shelf.to_erase(None).unwrap(), []);
    }
}

#[test]
fn the_policy_is_what_the_configuration_says() {
    let mut config = Config::default();
    config.reminders.default_offsets = vec![0, 45];
    config.reminders.high_offsets = Some(vec![0, 60]);
    config.reminders.low_offsets = Some(vec![]);
    config.reminders.nag_every = Duration::from_secs(2 * 60 * 60);
    config.reminders.nag_max = 4;
    config.reminders.default_timezone = "Europe/Berlin".parse().unwrap();
    config.reminders.date_only_time = chrono::NaiveTime::from_hms_opt(7, 30, 0).unwrap();
    config.reminders.spread = Duration::from_secs(7);
    config.reminders.expire_after = Duration::from_secs(99);
    config.quarantine.max_mb = 3;
    config.outbox.max_mb = 5;
    let settings = settings(&config);
    assert_eq!(
        settings.policy,
        Policy {
            default_offsets: vec![0, 45],
            windows: Vec::new(),
            priority_offsets: ByPriority { low: Some(vec![]), medium: None, high: Some(vec![0, 60]) },
            nags: Some(Nags { every_minutes: 120, max: 4 }),
            default_zone: "Europe/Berlin".parse().unwrap(),
            date_only: chrono::NaiveTime::from_hms_opt(7, 30, 0).unwrap(),
            follow_recurrence: true,
            recurrence_not_from: Vec::new(),
            spread: Duration::from_secs(7),
            expire_after: Duration::from_secs(99),
        }
    );
    config.reminders.nag_every = Duration::ZERO;
    assert_eq!(policy(&config).nags, None, "never");
    assert_eq!((settings.quarantine_max_bytes, settings.outbox_max_bytes), (3 << 20, 5 << 20), "MiB");
    assert_eq!(settings.backoff.initial, config.publish.backoff_initial);
    assert_eq!(settings.backoff.max, config.publish.backoff_max);
}
