//! Playing one worker, or two side by side, to the end of the span.

use super::difference::{Difference, Side};
use super::screen::Screen;
use super::world::World;
use crate::cli::Failure;
use crate::domain::Timestamp;

/// Plays `world` and shows what fires.
pub(super) fn alone(mut world: World, mut screen: Screen) -> Result<(), Failure> {
    while let Some(now) = world.next() {
        world.advance(now)?;
        while let Some(fired) = world.fire()? {
            for claimed in &fired.reminders {
                screen.fires(fired.at, claimed, &fired.policy)?;
            }
            if screen.is_unread() {
                return Ok(());
            }
        }
        screen.passes(now, world.fired());
    }
    screen.ends(&[("", world.outcome())], None)
}

/// Plays two workers side by side, instant by instant, and shows what fires differently. `other` is what the second
/// one's configuration is called.
pub(super) fn compared(
    [mut mine, mut theirs]: [World; 2],
    mut difference: Difference,
    other: &str,
    mut screen: Screen,
) -> Result<(), Failure> {
    while let Some(now) = mine.next().into_iter().chain(theirs.next()).min() {
        let both = [(Side::InForce, &mut mine), (Side::Other, &mut theirs)].into_iter();
        let mut here: Vec<_> =
            both.filter(|(_, world)| world.next().is_some_and(|next| next <= now)).collect();
        for (_, world) in &mut here {
            world.advance(now)?;
        }
        // Batch by batch: what fires under both then waits for its like no longer than that.
        while fire_once(&mut here, &mut difference)? {}
        while let Some(pair) = difference.decided(now) {
            screen.differs(&pair)?;
        }
        if screen.is_unread() {
            return Ok(());
        }
        screen.passes(now, mine.fired().max(theirs.fired()));
    }
    while let Some(pair) = difference.decided(Timestamp::MAX) {
        screen.differs(&pair)?;
    }
    screen.ends(&[("in force", mine.outcome()), (other, theirs.outcome())], Some(other))
}

/// Fires a batch of each world; false where none had any.
fn fire_once(worlds: &mut [(Side, &mut World)], difference: &mut Difference) -> Result<bool, Failure> {
    let mut any = false;
    for (side, world) in worlds {
        let Some(fired) = world.fire()? else { continue };
        any = true;
        for claimed in &fired.reminders {
            difference.note(*side, fired.at, claimed);
        }
    }
    Ok(any)
}
