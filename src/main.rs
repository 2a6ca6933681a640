//! The process: arguments and environment in, exit code out. Everything between is `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    reminder_worker::cli::run(std::env::args_os(), std::env::vars_os().collect()).into()
}
