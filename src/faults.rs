//! Simulations of faults: the shipped commit loop, store and reading on a simulated clock, disk, sidecar and broker, from
//! one seed.
//!
//! A seed makes a [`Script`]; playing it is a pure function of the script, so a failure can be played again, and is cut
//! down to the happenings that it needs. Owns no rule about reminders: what must hold is the [`oracle`]'s, which is
//! written apart from them.

mod callers;
mod draw;
mod erasing;
mod model;
mod oracle;
mod restoring;
mod script;
mod sidecar;
mod telling;
mod world;

use crate::writer::Settings;
use world::World;

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
    /// Orders of persons: reminders called off, due dates stated anew.
    pub orders: u64,
    /// Steps of commits that failed.
    pub disk_faults: u64,
    /// Crashes of the worker.
    pub crashes: u64,
    /// Times that the worker's clock was set.
    pub clock_steps: u64,
    /// Stores lost and restored from a backup.
    pub restores: u64,
    /// Users erased.
    pub erasings: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, more: Self) {
        self.simulations += more.simulations;
        self.deliveries += more.deliveries;
        self.publishes += more.publishes;
        self.failed += more.failed;
        self.receipts += more.receipts;
        self.orders += more.orders;
        self.disk_faults += more.disk_faults;
        self.crashes += more.crashes;
        self.clock_steps += more.clock_steps;
        self.restores += more.restores;
        self.erasings += more.erasings;
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { deliveries, publishes, failed, receipts, orders, .. } = self;
        writeln!(f, "{deliveries} events delivered, {orders} orders")?;
        writeln!(
            f,
            "{publishes} events published, {failed} of them in vain or in doubt, {receipts} came back"
        )?;
        let Self { crashes, disk_faults, clock_steps, restores, erasings, .. } = self;
        writeln!(f, "{crashes} crashes, {disk_faults} disk faults, {clock_steps} clock steps")?;
        write!(f, "{restores} stores lost and restored from a backup, {erasings} users erased")
    }
}

/// A simulation that broke an invariant.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What broke, in words.
    pub broken: String,
    /// A script that breaks it, cut down.
    pub script: Script,
    /// What happens when that is played, a line each.
    pub trace: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Script { seed, catch_up, rates, .. } = &self.script;
        writeln!(f, "seed {seed} fails: {}", self.broken)?;
        writeln!(f, "catch_up {catch_up:?}, rates {rates:?}; what is said, by its number:")?;
        for (number, said) in self.script.events.iter().enumerate() {
            if self.script.mentions(number) {
                writeln!(f, "  {number}: {said}")?;
            }
        }
        write!(f, "what happens, by the worker's clock:")?;
        self.trace.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Plays what `seed` says, on `settings` but for how reminders are let go and how long they are kept, which are drawn.
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
    let mut world = World::new(script, settings.clone(), false);
    world.play()?;
    Ok(world.seen)
}

/// Leaves out happenings, in ever smaller runs, and makes plainer what is left, as long as it fails.
fn shrink(script: Script, broken: String, settings: &Settings) -> Failure {
    let mut failing = Failing { script, broken, plays: 0, settings };
    let mut run = failing.script.len().div_ceil(2);
    while run > 0 {
        let mut from = 0;
        while from < failing.script.len() {
            if !failing.is_still(failing.script.without(from, from + run)) {
                from += run;
            }
        }
        run = if run == 1 { 0 } else { run.div_ceil(2) };
    }
    for turn in 0..failing.script.replies.len() {
        failing.is_still(failing.script.with_good_reply(turn));
    }
    for plainer in failing.script.plainer() {
        failing.is_still(plainer);
    }
    let Failing { script, broken, .. } = failing;
    let mut world = World::new(&script, settings.clone(), true);
    // As it has failed before.
    let _ = world.play();
    let trace = world.into_trace();
    Failure { broken, script, trace }
}

/// A failure that is being cut down.
struct Failing<'a> {
    script: Script,
    broken: String,
    plays: usize,
    settings: &'a Settings,
}

impl Failing<'_> {
    /// Whether a plainer script fails as well: then it takes the place of the other.
    fn is_still(&mut self, plainer: Script) -> bool {
        self.plays += 1;
        if self.plays > SHRINK_PLAYS_MAX {
            return false;
        }
        let Err(broken) = play(&plainer, self.settings) else { return false };
        (self.script, self.broken) = (plainer, broken);
        true
    }
}

#[cfg(test)]
mod tests;
