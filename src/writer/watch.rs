//! What the commit loop does where the wall clock has jumped.
//!
//! Every turn looks, so at least one a second does. What was told by the old time is told anew: the index is read again
//! from its beginning, what the rates hold back is judged again, and whoever sleeps is woken. Nothing is early for it,
//! whichever way it went: due is what the wall clock says when it is read again.
//!
//! What a clock that was set ahead has passed over counts neither towards `expire_after` nor towards the retention, until it
//! is set back or the process ends: that step may have been the wrong one.
//!
//! Accepted: an attempt that failed before the clock was set back is made again when its instant comes by the new time.
//! By that it is late by no more than it would have been.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use crate::clock::{Jump, Reading};
use crate::domain::Leap;
use crate::telemetry;

/// That the wall clock was set back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetBack {
    /// By how much.
    pub by: Duration,
    /// When that was noticed, on the monotonic clock.
    pub at: Duration,
}

impl Core {
    /// Looks whether the wall clock has jumped.
    pub(super) fn watch_clock(&mut self, now: &Reading) {
        let Some(jump) = self.guard.look(now) else { return };
        tracing::warn!("{jump}; what is due is told anew, and nothing goes out early");
        telemetry::clock_jump(jump.name());
        let ahead = self.policy.leap.map_or(Duration::ZERO, |leap| leap.to.since(leap.from));
        let ahead = match jump {
            Jump::Ahead(by) => Some(ahead.saturating_add(by)),
            Jump::Back(by) => {
                self.set_back = Some(SetBack { by, at: now.monotonic });
                Some(ahead.saturating_sub(by))
            }
            Jump::Suspended(_) => None,
        };
        if let Some(ahead) = ahead {
            let leap = Leap { from: now.wall.minus(ahead), to: now.wall };
            Arc::make_mut(&mut self.policy).leap = Some(leap).filter(|_| !ahead.is_zero());
        }
        self.judge_anew();
        // Though the next instant may be the same: it comes sooner or later by now.
        self.next_wake.send_modify(|_| ());
        self.outbox_waiting.send_modify(|turn| *turn += 1);
    }
}
