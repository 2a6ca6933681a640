//! The store is removed, moved or replaced while its worker runs.

use std::fs;

use crate::events::{FAR, created, task};
use crate::ports::free_port;
use crate::sidecar::Sidecar;
use crate::time_travel::Dev;
use crate::worker::{Setup, command};

#[tokio::test]
async fn a_worker_whose_store_is_removed_ends_with_74_and_the_next_one_knows_all_that_was_acknowledged() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    // With the marker the next start restores what was saved by itself; without, a person does.
    for marker_goes_too in [false, true] {
        let mut worker = setup.start().await;
        let task = task();
        worker.deliver(&created(&task, FAR)).await;
        fs::remove_dir_all(setup.store()).unwrap();
        // Acknowledged into a file without a name.
        let later = crate::events::task();
        worker.deliver(&created(&later, FAR)).await;
        worker.process.signal("TERM");
        assert_eq!(worker.process.ended().await.code(), Some(74));
        worker.process.logs("a last backup is made").await;
        if marker_goes_too {
            fs::remove_file(setup.store().with_extension("marker")).unwrap();
            let mut newest: Vec<_> = fs::read_dir(setup.store().with_extension("backups"))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|end| end == "rmb"))
                .collect();
            newest.sort();
            let mut import = command();
            import.args(["store", "import"]).arg(newest.pop().unwrap()).arg("--set-aside");
            let output = import.arg("--store-path").arg(setup.store()).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let worker = setup.start().await;
        worker.reminder_is(&task, "pending").await;
        worker.reminder_is(&later, "pending").await;
        assert_eq!(worker.terminated().await, Some(0));
    }
}

#[tokio::test]
async fn a_worker_finds_out_by_itself_within_a_minute_and_says_what_to_do() {
    let mut dev = Dev::start(&["--time-scale", "60", "--ops-port", &free_port().to_string()]).await;
    let store = dev.setup.store();
    fs::rename(&store, store.with_file_name("moved")).unwrap();
    assert_eq!(dev.worker.process.ended().await.code(), Some(74));
    let told = dev.worker.process.logs("the worker ends").await["error"].as_str().unwrap().to_owned();
    for word in ["was taken away from its process", "the backup ", "move it back", "store import"] {
        assert!(told.contains(word), "{told}");
    }
}
