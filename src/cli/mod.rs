//! The command line: one file per command.
//!
//! Owns arguments, exit codes and what is printed. Commands return text; it is written here, once, so that a
//! reader who goes away (`| head`) is no error anywhere; daemons and `simulate` write as they go. Environment and arguments are handed in.

mod check;
mod dev;
mod exit;
mod http;
mod import;
mod ops;
mod options;
mod pause;
mod publish;
mod reminders;
mod resources;
mod schema;
mod serve;
mod sidecar;
mod simulate;
mod stand_in;
mod terminal;
mod users;
mod when;

use std::ffi::OsString;
use std::io::Write as _;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::clock::{Clock, SystemClock};
use crate::config::Log;
use crate::telemetry;
use terminal::Colours;

pub use exit::{Exit, Failure};

/// A daemon that never forgets a due date: hears about tasks through Dapr, publishes reminders on time.
#[derive(Debug, Parser)]
#[command(name = "reminder-worker", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the worker beside a Dapr sidecar.
    Serve(serve::Args),
    /// Run the worker with a stand-in for Dapr, on a bare machine.
    Dev(dev::Args),
    /// Run the stand-in for Dapr alone, beside apps of your own.
    Sidecar(sidecar::Args),
    /// Send a task event to a running worker, which keeps it and publishes it.
    Publish(publish::Args),
    /// Look at reminders, ask why, call them off or move them.
    Reminders(reminders::Args),
    /// Show what would fire: the worker's own rules at full speed over simulated time.
    Simulate(simulate::Args),
    /// Take in tasks from before the installation, from a file of one event a line.
    Import(import::Args),
    /// Erase what is kept of a user.
    Users(users::Args),
    /// Let no reminder go out until `resume`, whatever is started anew.
    Pause(pause::PauseArgs),
    /// Let reminders go out again.
    Resume(pause::ResumeArgs),
    /// Print the configuration in force and where each value comes from.
    Check(check::Args),
    /// Print the JSON Schemas of the events.
    Schema(schema::Args),
}

/// What every command is given besides its arguments.
pub(crate) struct Context {
    /// The environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// Which outputs take colour.
    pub(crate) colours: Colours,
}

impl Context {
    /// The variable `name`, where it is set to text.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(n, _)| n == name).and_then(|(_, value)| value.to_str())
    }

    /// Starts the logs of a daemon; `RUST_LOG` wins over `log`.
    pub(crate) fn start_logs(&self, log: &Log) -> Result<(), Failure> {
        telemetry::start_logs(log, self.variable("RUST_LOG"), self.colours.err.0)
            .map_err(|error| Failure::failed(format!("logging cannot be started: {error}")))
    }
}

/// Runs the command that `args` (the program's name first) ask for.
pub fn run(args: impl IntoIterator<Item = OsString>, env: Vec<(OsString, OsString)>) -> Exit {
    let colours = Colours::of_process(&env);
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(told) => {
            // Nothing is left to tell if even this cannot be written.
            let _ = told.print();
            return if told.use_stderr() { Exit::Usage } else { Exit::Clean };
        }
    };
    let context = Context { env, clock: Arc::new(SystemClock::new()), colours };
    let outcome = dispatch(cli.command, &context).and_then(|text| print(&text));
    match outcome {
        Ok(()) => Exit::Clean,
        Err(failure) => {
            let label = colours.err.red("error:");
            let _ = writeln!(std::io::stderr(), "{label} {}", failure.message);
            failure.exit
        }
    }
}

fn dispatch(command: Command, context: &Context) -> Result<String, Failure> {
    match command {
        Command::Serve(args) => {
            let loaded = args.config.load(&context.env)?;
            wait_for_many(serve::run(args, loaded, context)).map(|()| String::new())
        }
        Command::Dev(args) => {
            let loaded = args.config.load(&context.env)?;
            wait_for_many(dev::run(args, loaded, context)).map(|()| String::new())
        }
        Command::Sidecar(args) => {
            let loaded = args.config.load(&context.env)?;
            wait_for_many(sidecar::run(args, loaded, context)).map(|()| String::new())
        }
        Command::Publish(args) => wait_for(publish::run(args, context)),
        Command::Reminders(args) => wait_for(reminders::run(args, context)),
        Command::Simulate(args) => simulate::run(&args, context),
        Command::Import(args) => wait_for(import::run(args, context)),
        Command::Users(args) => wait_for(users::run(args, context)),
        Command::Pause(args) => wait_for(pause::pause(args, context)),
        Command::Resume(args) => wait_for(pause::resume(args, context)),
        Command::Check(args) => check::run(&args, context),
        Command::Schema(args) => schema::run(&args),
    }
}

/// How long what blocks on the disk may keep the process from ending.
const HANGING_MAX: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs a daemon, on every core.
fn wait_for_many<T>(daemon: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(no_runtime)?;
    let ended = runtime.block_on(daemon);
    // A commit that hangs on the disk can't be interrupted; waiting for it would make the process unstoppable.
    runtime.shutdown_timeout(HANGING_MAX);
    ended
}

/// Runs a command that asks one question.
fn wait_for<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(no_runtime)?.block_on(command)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn no_runtime(error: std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the system gives no threads or files to run on: {error}"))
}

fn print(text: &str) -> Result<(), Failure> {
    // A daemon has written as it went, and what it could not write may hold the lock still.
    if text.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format!("the output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
