//! A token bucket: how many may go at once, and how many in the long run.
//!
//! Exact: tokens are counted in whole parts, so that no rounding adds up over a day. It has no clock; the caller says
//! what time it is. A clock that steps back adds nothing and takes nothing: tokens are gathered from the new time on.

use std::time::Duration;

use super::time::Timestamp;

/// So many tokens a span of time, and so many kept at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Tokens a span; at least 1.
    count: u64,
    /// Milliseconds of the span; at least 1. A token has as many parts.
    span: u64,
    /// Most tokens kept; at least 1.
    burst: u64,
}

impl Rate {
    /// `count` tokens each `span`, at most `burst` at once. `None` for a count of 0, which means no limit.
    #[must_use]
    pub fn new(count: u32, span: Duration, burst: u32) -> Option<Self> {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).clamp(1, u64::from(u32::MAX));
        (count > 0).then_some(Self { count: count.into(), span, burst: u64::from(burst.max(1)) })
    }

    /// Most tokens kept.
    #[must_use]
    pub fn burst(self) -> u64 {
        self.burst
    }

    // Each factor is below 2^32.
    fn full(self) -> u64 {
        self.burst * self.span
    }
}

/// A bucket that fills at a rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    rate: Rate,
    /// Parts of tokens that were there at `at`.
    parts: u64,
    at: Timestamp,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(rate: Rate, now: Timestamp) -> Self {
        Self { rate, parts: rate.full(), at: now }
    }

    /// Adds what has come in until `now`.
    pub fn refill(&mut self, now: Timestamp) {
        let waited = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let more = waited.saturating_mul(self.rate.count);
        self.parts = self.parts.saturating_add(more).min(self.rate.full());
        self.at = now;
    }

    /// Takes one token, if there is one after the last refill.
    pub fn take(&mut self) -> bool {
        let left = self.parts.checked_sub(self.rate.span);
        self.parts = left.unwrap_or(self.parts);
        left.is_some()
    }

    /// Whether there is a token after the last refill.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.parts >= self.rate.span
    }

    /// Whether it is as full as it gets: then nothing is known by it that a new one would not know.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.parts == self.rate.full()
    }

    /// When it holds so many tokens, at most as many as it can; the last refill where it does already.
    #[must_use]
    pub fn holds_at(&self, tokens: u64) -> Timestamp {
        let wanted = tokens.clamp(1, self.rate.burst) * self.rate.span;
        let missing = wanted.saturating_sub(self.parts);
        self.at.plus(Duration::from_millis(missing.div_ceil(self.rate.count)))
    }
}
