use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;
use crate::clock::TokioClock;
use crate::config::Config;
use crate::domain::Preferences;
use crate::store::sled::in_memory;
use crate::store::{Batch, Op, Store as _};

const HOUR: Duration = Duration::from_secs(3600);

struct Stage {
    room: tempfile::TempDir,
    clock: Arc<TokioClock>,
    stop: CancellationToken,
    health: Health,
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::new(TokioClock::starting_at(Timestamp::from_millis(1_790_000_000_000)));
        let stop = CancellationToken::new();
        let health = Health::new(Arc::<TokioClock>::clone(&clock), Config::default().health, stop.clone());
        Self { room: tempfile::tempdir().unwrap(), clock, stop, health }
    }

    fn backups(&self, every: Duration) -> Backups {
        let shelf = Shelf::new(self.room.path().join("backups"), 3);
        let store = Arc::new(in_memory().unwrap());
        Backups::new(store, shelf, every, Arc::<TokioClock>::clone(&self.clock), self.stop.clone())
    }

    fn kept(&self) -> usize {
        Shelf::new(self.room.path().join("backups"), 3).list().unwrap().len()
    }

    fn warning(&self) -> Option<String> {
        self.health.ready().warnings.get("backup").cloned()
    }
}

/// Lets `backups` run for as long as `time` takes on paused time.
async fn run_for(stage: &Stage, backups: Backups, time: Duration) {
    let ends = async {
        stage.clock.sleep(time).await;
        stage.stop.cancel();
    };
    let (ended, ()) = tokio::join!(backups.run(stage.health.clone()), ends);
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn one_is_made_soon_after_the_start_and_then_every_so_often() {
    let stage = Stage::new();
    run_for(&stage, stage.backups(HOUR), FIRST_AFTER + HOUR + Duration::from_secs(90)).await;
    assert_eq!(stage.kept(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_young_backup_of_an_earlier_life_is_counted() {
    let stage = Stage::new();
    stage.backups(HOUR).make().await.unwrap();
    run_for(&stage, stage.backups(HOUR), HOUR / 2).await;
    assert_eq!(stage.kept(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_no_interval_none_is_made_by_itself() {
    let stage = Stage::new();
    run_for(&stage, stage.backups(Duration::ZERO), 30 * HOUR).await;
    assert_eq!(stage.kept(), 0);
    let stage = Stage::new();
    stage.backups(Duration::ZERO).make().await.unwrap();
    assert_eq!(stage.kept(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_is_warned_of_and_tried_again_before_the_next_is_due() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let stage = Stage::new();
    let blocked = stage.room.path().join("backups");
    std::fs::write(&blocked, "a file").unwrap();
    let has_last = || scrape.render().contains("reminder_worker_backup_last_timestamp_seconds");
    let mends = async {
        stage.clock.sleep(FIRST_AFTER + Duration::from_secs(90)).await;
        // What the alert `BackupsMissing` goes by until there is one.
        assert!(!has_last() && scrape.render().contains("reminder_worker_backup_failures_total 1"));
        assert!(stage.warning().unwrap().contains("no backup could be made"));
        std::fs::remove_file(&blocked).unwrap();
    };
    tokio::join!(
        run_for(&stage, stage.backups(HOUR), FIRST_AFTER + AGAIN_AFTER + Duration::from_secs(200)),
        mends
    );
    assert_eq!((stage.kept(), stage.warning()), (1, None));
    assert!(has_last());
}

#[tokio::test(start_paused = true)]
async fn who_is_erased_is_noted_beside_them() {
    let stage = Stage::new();
    let backups = stage.backups(HOUR);
    let unfinished = || backups.shelf().to_erase(None).unwrap().len();
    let begun = backups.begin_erasing("ann").await.unwrap();
    assert_eq!(backups.shelf().to_erase(None).unwrap()[0].user, "ann");
    begun.settle(Erasing::Ended).await.unwrap();
    assert_eq!(backups.shelf().to_erase(Some(Timestamp::MIN)).unwrap().len(), 1);
    let begun = backups.begin_erasing("bob").await.unwrap();
    assert_eq!(unfinished(), 1, "a crash here leaves it to the next start");
    begun.settle(Erasing::Refused).await.unwrap();
    assert_eq!(unfinished(), 0, "who asked was told, and asks again");
    drop(backups.begin_erasing("carl").await.unwrap());
    assert_eq!(unfinished(), 1, "what broke off may have erased a part");
}

/// Made while the clock was ahead.
#[tokio::test(start_paused = true)]
async fn a_backup_of_the_future_counts_as_none() {
    let stage = Stage::new();
    let made = stage.backups(HOUR).make().await.unwrap().kept;
    std::fs::rename(&made.path, made.path.with_file_name("backup-20990101T000000.000Z.rmb")).unwrap();
    run_for(&stage, stage.backups(HOUR), HOUR / 2).await;
    assert_eq!(stage.kept(), 2);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_store_that_is_removed_moved_or_replaced_is_found_within_a_minute_saved_whole_and_takes_nothing_more()
 {
    type Take = fn(&Path);
    let ways: [Take; 4] = [
        |dir| std::fs::remove_dir_all(dir).unwrap(),
        |dir| std::fs::rename(dir, dir.with_file_name("moved")).unwrap(),
        |dir| {
            std::fs::remove_dir_all(dir).unwrap();
            std::fs::create_dir(dir).unwrap();
            std::fs::write(dir.join("db"), "another").unwrap();
        },
        |dir| std::fs::remove_file(dir.join("db")).unwrap(),
    ];
    for (n, take) in ways.into_iter().enumerate() {
        let stage = Stage::new();
        let dir = stage.room.path().join("store");
        let store = Arc::new(SledStore::open(&dir, 16).unwrap());
        let mut batch = Batch::default();
        batch.push(Op::PutPreferences("ann".into(), Box::default()));
        store.commit(&batch).unwrap();
        let backups = Backups { store: Arc::clone(&store), ..stage.backups(Duration::ZERO) };
        let began = stage.clock.now();
        let taken = async {
            stage.clock.sleep(SLEEP_MAX / 2).await;
            take(&dir);
        };
        let (ended, ()) = tokio::join!(backups.run(stage.health.clone()), taken);
        assert!(stage.clock.now().since(began) <= SLEEP_MAX + BUSY_AGAIN, "{n}");
        let Err(TakenAway::Saved { kept, .. }) = &ended else { panic!("{n}: {ended:?}") };
        let told = ended.as_ref().unwrap_err().to_string();
        assert!(told.contains(&kept.path.display().to_string()), "{told}");
        let (saved, _) = SledStore::of_file(&kept.path).unwrap();
        assert_eq!(saved.preferences("ann").unwrap(), Some(Preferences::default()), "{n}");
        for batch in [Batch::default(), batch] {
            assert!(matches!(store.commit(&batch), Err(StoreError::Gone { .. })), "{n}");
        }
    }
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_store_taken_away_of_which_no_backup_can_be_made_says_so_and_a_stopping_worker_saves_all_the_same()
{
    for is_blocked in [true, false] {
        let stage = Stage::new();
        let dir = stage.room.path().join("store");
        let store = Arc::new(SledStore::open(&dir, 16).unwrap());
        let backups = Backups { store, ..stage.backups(Duration::ZERO) };
        std::fs::remove_dir_all(&dir).unwrap();
        if is_blocked {
            std::fs::write(stage.room.path().join("backups"), "a file").unwrap();
        }
        let stopped = async { stage.stop.cancel() };
        let (ended, ()) = tokio::join!(backups.run(stage.health.clone()), stopped);
        match ended {
            Err(TakenAway::Lost { .. }) => assert!(is_blocked),
            Err(TakenAway::Saved { .. }) => assert!(!is_blocked),
            Ok(()) => panic!("it was taken away"),
        }
    }
}

/// A worker whose store was taken away before it looks for the first time; nothing is where its backups are to be.
#[cfg(unix)]
fn taken_away(stage: &Stage) -> Backups {
    let dir = stage.room.path().join("store");
    let store = Arc::new(SledStore::open(&dir, 16).unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
    Backups { store, ..stage.backups(Duration::ZERO) }
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn the_last_backup_leaves_no_reserve() {
    let stage = Stage::new();
    let backups = taken_away(&stage);
    let shelf = backups.shelf.clone().leaving(u64::MAX);
    let backups = Backups { shelf, ..backups };
    assert!(matches!(backups.make().await, Err(BackupError::Short { .. })), "any other leaves it");
    let ended = backups.run(stage.health.clone()).await;
    assert!(matches!(ended, Err(TakenAway::Saved { .. })), "{ended:?}");
    assert_eq!(stage.kept(), 1);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn the_last_backup_is_tried_again_while_what_hinders_it_may_pass_and_then_given_up() {
    for is_in_time in [true, false] {
        let stage = Stage::new();
        let backups = taken_away(&stage);
        let blocked = stage.room.path().join("backups");
        std::fs::write(&blocked, "a file").unwrap();
        let began = stage.clock.now();
        let mends = async {
            // Between the last try but one and the last, or when that is over.
            let tries = if is_in_time { SAVE_TRIES - 1 } else { SAVE_TRIES };
            stage.clock.sleep(SLEEP_MAX + SAVE_AGAIN * tries - SAVE_AGAIN / 2).await;
            std::fs::remove_file(&blocked).unwrap();
        };
        let ends = async { (backups.run(stage.health.clone()).await, stage.clock.now().since(began)) };
        let ((ended, took), ()) = tokio::join!(ends, mends);
        assert_eq!(took.as_secs(), (SLEEP_MAX + SAVE_AGAIN * (SAVE_TRIES - 1)).as_secs());
        match ended {
            Err(TakenAway::Saved { .. }) => assert!(is_in_time),
            Err(TakenAway::Lost { error: BackupError::Io { .. }, .. }) => assert!(!is_in_time),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_no_later_try_could_read_is_not_tried_again() {
    let torn = BackupError::Torn { after: "x".into(), why: "y".into() };
    for (error, again) in [
        (torn, false),
        (BackupError::Stopped, false),
        (StoreError::Corrupt("x".into()).into(), false),
        (StoreError::Unavailable("x".into()).into(), true),
        (BackupError::Behind, true),
    ] {
        assert_eq!(may_pass(&error), again, "{error}");
    }
}

/// A clock which is read off the test's thread only by a backup that begins: at that moment the store's directory goes
/// and the worker is told to stop.
#[cfg(unix)]
struct StopsABackup {
    clock: Arc<TokioClock>,
    test: std::thread::ThreadId,
    stop: CancellationToken,
    dir: PathBuf,
}

#[cfg(unix)]
impl Clock for StopsABackup {
    fn now(&self) -> Timestamp {
        if std::thread::current().id() != self.test && !self.stop.is_cancelled() {
            std::fs::remove_dir_all(&self.dir).unwrap();
            self.stop.cancel();
        }
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) -> crate::clock::Sleep<'_> {
        self.clock.sleep(duration)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_stop_that_breaks_off_a_backup_ends_with_a_look_whether_the_store_is_still_there() {
    let stage = Stage::new();
    let dir = stage.room.path().join("store");
    let store = Arc::new(SledStore::open(&dir, 16).unwrap());
    let (test, stop) = (std::thread::current().id(), stage.stop.clone());
    let clock = Arc::new(StopsABackup { clock: stage.clock.clone(), test, stop, dir });
    let backups = Backups { store, clock, ..stage.backups(HOUR) };
    let ended = backups.run(stage.health.clone()).await;
    assert!(stage.stop.is_cancelled());
    assert!(matches!(ended, Err(TakenAway::Saved { .. })), "{ended:?}");
}
