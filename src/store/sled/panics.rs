//! Panics of the engine as errors: sled panics on some damage instead of saying so.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// How the message of a panic begins.
pub(super) const PANICKED: &str = "the engine panicked: ";

/// Whether `message` is that of a panic.
pub(super) fn is_one(message: &str) -> bool {
    message.starts_with(PANICKED)
}

/// Runs `work`; a panic in it is returned as its message and not printed. What `work` touched must not be
/// trusted after a panic.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                next(panic);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    result.map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    format!("{PANICKED}{text}")
}
