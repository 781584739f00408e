//! What a target is doing, against what it may: calls that are running, and requests and tokens of the last
//! minute.
//!
//! The last minute is kept in slots of a second, and a slot counts until all of it is more than a minute
//! old. So no minute ever has more than the limit, and what was full is free at most a second later than
//! it could be.

use std::time::Duration;

use crate::domain::quantity::Moment;
use crate::domain::standing::Room;

/// The seconds of a minute, and the one that has begun.
const SLOTS: usize = 61;

/// How much a target may be given to do; what is not told is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Calls at a time.
    pub concurrency: Option<u32>,
    /// Calls in any minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens of prompts and answers in any minute.
    pub tokens_per_minute: Option<u64>,
}

/// A target cannot take one more call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Which limit is reached.
    pub room: Room,
    /// When it is no longer reached if nothing else comes. Nobody knows when a running call ends.
    pub free_in: Option<Duration>,
}

/// A call that was let in: where its tokens were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    second: u64,
    tokens: u64,
}

/// What a target is doing.
#[derive(Debug, Clone)]
pub struct Load {
    limits: Limits,
    running: u32,
    /// A second has the slot of its number modulo their count.
    slots: [Used; SLOTS],
    /// The newest second that has a slot.
    newest: u64,
    /// Of all slots.
    sum: Used,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Used {
    requests: u64,
    tokens: u64,
}

impl Load {
    /// Nothing is running.
    pub const fn within(limits: Limits) -> Self {
        const NOTHING: Used = Used {
            requests: 0,
            tokens: 0,
        };
        Self {
            limits,
            running: 0,
            slots: [NOTHING; SLOTS],
            newest: 0,
            sum: NOTHING,
        }
    }

    /// Puts other limits in force. What is running and was counted stays.
    pub const fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How many calls are running.
    pub const fn running(&self) -> u32 {
        self.running
    }

    /// Whether one more call can be let in, however small it is.
    pub fn room(&mut self, now: Moment) -> Room {
        self.forget(now);
        self.room_for(0)
    }

    /// What a call that is expected to use so many tokens must wait for, if for anything.
    pub fn full(&mut self, now: Moment, tokens: u64) -> Option<Full> {
        self.forget(now);
        let room = self.room_for(tokens);
        (room != Room::Free).then(|| Full {
            room,
            free_in: self.free_in(room, tokens, now),
        })
    }

    /// Lets a call in that is expected to use so many tokens, or says what it must wait for.
    pub fn admit(&mut self, now: Moment, tokens: u64) -> Result<Admitted, Full> {
        if let Some(full) = self.full(now, tokens) {
            return Err(full);
        }
        self.running = self.running.saturating_add(1);
        let second = self.newest;
        self.count(second, |used| {
            used.requests = used.requests.saturating_add(1);
            used.tokens = used.tokens.saturating_add(tokens);
        });
        Ok(Admitted { second, tokens })
    }

    /// A call that was let in has ended: its place is free.
    pub const fn finish(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Counts what a call used in place of what was expected. What it did not use is taken back where it
    /// was counted; what it used beyond counts now, when it was written.
    pub fn settle(&mut self, admitted: Admitted, used: u64, now: Moment) {
        self.forget(now);
        if used < admitted.tokens {
            let unused = admitted.tokens - used;
            if self.newest < admitted.second + SLOTS as u64 {
                self.count(admitted.second, |it| {
                    it.tokens = it.tokens.saturating_sub(unused);
                });
            }
        } else {
            let beyond = used - admitted.tokens;
            self.count(self.newest, |it| {
                it.tokens = it.tokens.saturating_add(beyond);
            });
        }
    }

    fn room_for(&self, tokens: u64) -> Room {
        let Limits {
            concurrency,
            requests_per_minute,
            tokens_per_minute,
        } = self.limits;
        if concurrency.is_some_and(|limit| limit <= self.running) {
            Room::FullConcurrency
        } else if requests_per_minute.is_some_and(|limit| u64::from(limit) <= self.sum.requests) {
            Room::FullRequests
        } else if tokens_per_minute.is_some_and(|limit| exceeds(self.sum.tokens, tokens, limit)) {
            Room::FullTokens
        } else {
            Room::Free
        }
    }

    /// How long it takes until enough of the last minute is forgotten.
    fn free_in(&self, room: Room, tokens: u64, now: Moment) -> Option<Duration> {
        let mut left = self.sum;
        let oldest = self.newest.saturating_sub(SLOTS as u64 - 1);
        for second in oldest..=self.newest {
            let used = self.slots[slot(second)];
            left.requests = left.requests.saturating_sub(used.requests);
            left.tokens = left.tokens.saturating_sub(used.tokens);
            let is_free = match room {
                Room::Free => true,
                Room::FullConcurrency => return None,
                Room::FullRequests => self
                    .limits
                    .requests_per_minute
                    .is_none_or(|limit| left.requests < u64::from(limit)),
                Room::FullTokens => self
                    .limits
                    .tokens_per_minute
                    .is_none_or(|limit| !exceeds(left.tokens, tokens, limit)),
            };
            if is_free {
                let forgotten = Moment::after_start(Duration::from_secs(second + SLOTS as u64));
                return Some(forgotten.since(now));
            }
        }
        None
    }

    /// Gives the seconds up to now their slots, and forgets those that had them.
    fn forget(&mut self, now: Moment) {
        // Threads read the clock before they wait for each other: a moment ago is now.
        let second = now.elapsed().as_secs().max(self.newest);
        let n_new = (second - self.newest).min(SLOTS as u64);
        for old in self.newest + 1..=self.newest + n_new {
            let used = std::mem::take(&mut self.slots[slot(old)]);
            self.sum.requests = self.sum.requests.saturating_sub(used.requests);
            self.sum.tokens = self.sum.tokens.saturating_sub(used.tokens);
        }
        self.newest = second;
    }

    /// Changes what a second and so the sum has.
    fn count(&mut self, second: u64, change: impl FnOnce(&mut Used)) {
        let used = &mut self.slots[slot(second)];
        let before = *used;
        change(used);
        let after = *used;
        let sum = &mut self.sum;
        sum.requests =
            (sum.requests.saturating_sub(before.requests)).saturating_add(after.requests);
        sum.tokens = (sum.tokens.saturating_sub(before.tokens)).saturating_add(after.tokens);
    }
}

/// Whether so many more tokens are too many. Where none were used, no request is too large by itself: it
/// would never be let in, and whether the provider takes it is for the provider to say.
const fn exceeds(used: u64, more: u64, limit: u64) -> bool {
    0 < used && (limit <= used || limit - used < more)
}

fn slot(second: u64) -> usize {
    usize::try_from(second % SLOTS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests;
