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

/// What a simulation that holds has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Happenings of the script.
    pub happenings: usize,
    /// Attempts to publish.
    pub attempts: u32,
    /// Crashes of the worker.
    pub crashes: u32,
}

/// A simulation that broke an invariant.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What broke, in words.
    pub broken: String,
    /// A script that breaks it, cut down.
    pub script: Script,
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
    Ok(Seen { happenings: script.len(), attempts: world.oracle.attempted, crashes: world.crashes })
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
