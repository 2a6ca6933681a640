//! The process: arguments and environment in, exit code out, and its allocator. Everything between is `cli`.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

// glibc keeps what each of its arenas has freed, so the memory of a busy worker grows for hours; told to have one arena
// only, it takes in a sixth less.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    reminder_worker::cli::run(std::env::args_os(), std::env::vars_os().collect()).into()
}
