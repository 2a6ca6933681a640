//! How many events are shown in quarantine for what was refused of them: one producer with a habit must not flush out
//! what others sent. Counted in memory: a start begins anew, which shows some more.

use std::collections::HashMap;

use super::group::Group;

/// Events of one producer that are shown an hour: enough to see what it does wrong.
pub(super) const REFUSED_AN_HOUR: u32 = 16;
/// Producers told apart; all others share one count, for producers choose their names freely.
pub(super) const REFUSED_PRODUCERS_MAX: usize = 64;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// What was shown in the present hour.
#[derive(Default)]
pub(super) struct RefusedShown {
    hour: i64,
    by_producer: HashMap<String, u32>,
}

impl RefusedShown {
    /// Takes over what a committed group showed.
    pub(super) fn extend(&mut self, shown: Vec<(i64, String)>) {
        for (hour, producer) in shown {
            if hour != self.hour {
                *self = Self { hour, by_producer: HashMap::new() };
            }
            *self.by_producer.entry(producer).or_default() += 1;
        }
    }

    /// The name that `producer` is counted under.
    fn name(&self, hour: i64, producer: Option<&str>) -> String {
        let producer = producer.unwrap_or_default();
        let full = hour == self.hour && self.by_producer.len() >= REFUSED_PRODUCERS_MAX;
        if full && !self.by_producer.contains_key(producer) { String::new() } else { producer.to_owned() }
    }
}

impl Group<'_> {
    /// Whether one more event of `producer` may be shown; if so, it is counted.
    pub(super) fn has_room_for_refused(&mut self, producer: Option<&str>) -> bool {
        let hour = self.now.millis().div_euclid(HOUR_MS);
        let shown = &self.core.refused;
        let name = shown.name(hour, producer);
        let before = shown.by_producer.get(&name).copied().filter(|_| hour == shown.hour).unwrap_or(0);
        let here = self.effects.refused.iter().filter(|(_, known)| *known == name).count();
        let has_room = before.saturating_add(u32::try_from(here).unwrap_or(u32::MAX)) < REFUSED_AN_HOUR;
        if has_room {
            self.effects.refused.push((hour, name));
        }
        has_room
    }
}
