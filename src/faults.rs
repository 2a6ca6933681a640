//! Simulations of faults: the shipped commit loop, store and reading on a simulated clock, disk, sidecar and broker, from
//! one seed.
//!
//! A seed makes a [`Script`]; playing it is a pure function of the script, so a failure can be played again, and is cut
//! down to the happenings that it needs. Owns no rule about reminders: what must hold is the [`oracle`]'s, which is
//! written apart from them.

mod oracle;
mod script;
mod world;

use crate::writer::Settings;

pub use script::Script;

/// Most plays while a failure is cut down.
const SHRINK_PLAYS_MAX: usize = 2_000;

/// What simulations that hold have seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Simulations.
    pub simulations: u64,
    /// Deliveries of events that were answered.
    pub deliveries: u64,
    /// Events published, attempts that failed among them.
    pub publishes: u64,
    /// Of them, those that were told to have failed, or of which nothing was heard.
    pub failed: u64,
    /// Reminders that came back through the broker.
    pub receipts: u64,
    /// Reminders called off by a person.
    pub cancels: u64,
    /// Steps of commits that failed.
    pub disk_faults: u64,
    /// Crashes of the worker.
    pub crashes: u64,
    /// Times that the worker's clock was set.
    pub clock_steps: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, more: Self) {
        self.simulations += more.simulations;
        self.deliveries += more.deliveries;
        self.publishes += more.publishes;
        self.failed += more.failed;
        self.receipts += more.receipts;
        self.cancels += more.cancels;
        self.disk_faults += more.disk_faults;
        self.crashes += more.crashes;
        self.clock_steps += more.clock_steps;
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { deliveries, publishes, failed, receipts, cancels, .. } = self;
        writeln!(f, "{deliveries} events delivered, {cancels} cancels asked")?;
        writeln!(
            f,
            "{publishes} events published, {failed} of them in vain or in doubt, {receipts} came back"
        )?;
        let Self { crashes, disk_faults, clock_steps, .. } = self;
        write!(f, "{crashes} crashes, {disk_faults} disk faults, {clock_steps} clock steps")
    }
}

/// A simulation that broke an invariant.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What broke, in words.
    pub broken: String,
    /// A script that breaks it, cut down.
    pub script: Script,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {} fails: {}\n{}", self.script.seed, self.broken, self.script)
    }
}

/// Plays what `seed` says.
///
/// # Errors
/// [`Failure`], cut down.
pub fn run(seed: u64, settings: &Settings) -> Result<Seen, Box<Failure>> {
    let script = Script::draw(seed);
    play(&script, settings).map_err(|broken| Box::new(shrink(script, broken, settings)))
}

/// Plays a script.
///
/// # Errors
/// What broke, in words.
pub fn play(script: &Script, settings: &Settings) -> Result<Seen, String> {
    let mut world = world::World::new(script, settings.clone());
    world.play()?;
    Ok(world.seen)
}

/// Leaves out happenings, in ever smaller runs, as long as it fails.
fn shrink(mut script: Script, mut broken: String, settings: &Settings) -> Failure {
    let mut plays = 0;
    let mut run = script.len().max(1).div_ceil(2);
    while run > 0 {
        let mut from = 0;
        while from < script.len() && plays < SHRINK_PLAYS_MAX {
            plays += 1;
            let fewer = script.without(from, from + run);
            match play(&fewer, settings) {
                Err(still) => (script, broken) = (fewer, still),
                Ok(_) => from += run,
            }
        }
        run = if run == 1 { 0 } else { run.div_ceil(2) };
    }
    Failure { broken, script }
}

#[cfg(test)]
mod tests;
