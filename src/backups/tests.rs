use super::*;
use crate::clock::TokioClock;
use crate::config::Config;
use crate::store::sled::in_memory;

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
    tokio::join!(backups.run(stage.health.clone()), ends);
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
    let stage = Stage::new();
    let blocked = stage.room.path().join("backups");
    std::fs::write(&blocked, "a file").unwrap();
    let mends = async {
        stage.clock.sleep(FIRST_AFTER + Duration::from_secs(90)).await;
        assert!(stage.warning().unwrap().contains("no backup could be made"));
        std::fs::remove_file(&blocked).unwrap();
    };
    tokio::join!(
        run_for(&stage, stage.backups(HOUR), FIRST_AFTER + AGAIN_AFTER + Duration::from_secs(200)),
        mends
    );
    assert_eq!((stage.kept(), stage.warning()), (1, None));
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
