//! The last calls of one target: how long their answers took, and how many brought none.
//!
//! **Two kinds of answers.** Of a streamed answer it is known when the first token came, so its time per
//! token is that of the tokens after the first. Of an answer in one piece (and of a stream that had no text,
//! such as one of tool calls) it is not, so all of its time is divided by all of its tokens, which is more,
//! since the wait for the first token is in it. The two are never mixed: where there is an answer of the
//! first kind in a window, the time per token is the median of that kind, and of the other only where
//! there is none. So each figure says how many answers it rests on. Total times mean the same for both and are taken together.
//!
//! **Cost.** Each window holds its figures in order, so that a new sample is one insertion and a median
//! one look: a decision between ten targets reads ten of these, and each request adds to one.

use std::collections::VecDeque;
use std::time::Duration;

use super::sorted::Sorted;
use crate::domain::quantity::{Moment, Ratio};
use crate::domain::standing::{Measured, Pace};

/// How old a sample may be in the long window. Providers slow down and recover within minutes to hours.
pub const LONG: Duration = Duration::from_mins(20);

/// The same in the short window, which shows a slowdown that has just begun.
pub const SHORT: Duration = Duration::from_mins(3);

/// How many answers are kept, and how many calls are counted for the share that failed. More would say
/// little more of the next answer, and of a busy target they are all a few seconds old.
pub const SAMPLES_MAX: usize = 100;

/// Which samples are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Those of the last 20 minutes.
    Long,
    /// Those of the last 3.
    Short,
}

/// How long an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// Until its first token, where that was seen.
    pub ttft: Option<Duration>,
    /// For each output token: after the first, where that was seen, and of all otherwise.
    pub tpot: Option<Duration>,
    /// From call to end.
    pub total: Duration,
}

/// How a call ended that says something of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With an answer.
    Answered(Took),
    /// Without one, for which the target was to blame.
    Failed,
}

/// What is known of the last calls of a target.
#[derive(Debug, Clone)]
pub struct Samples {
    /// Answers in the order in which they ended, and the end of each.
    answers: VecDeque<(Moment, Took)>,
    long: View,
    short: View,
    calls: Calls,
}

/// The newest answers that are in a window, in order.
#[derive(Debug, Clone)]
struct View {
    age_max: Duration,
    n: usize,
    ttft: Sorted,
    tpot_streamed: Sorted,
    tpot_whole: Sorted,
    total: Sorted,
}

/// The last calls, answered or not.
#[derive(Debug, Clone, Default)]
struct Calls {
    ends: VecDeque<(Moment, Fate)>,
    n_failed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    Failed,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            answers: VecDeque::new(),
            long: View::over(LONG),
            short: View::over(SHORT),
            calls: Calls::default(),
        }
    }
}

impl Samples {
    /// Takes in how a call ended, and when.
    pub fn add(&mut self, ended: Ended, at: Moment) {
        match ended {
            Ended::Answered(took) => {
                self.calls.add(Fate::Answered, at);
                self.add_answer(took, at);
            }
            Ended::Failed => self.calls.add(Fate::Failed, at),
        }
    }

    fn add_answer(&mut self, took: Took, at: Moment) {
        // Two calls that end together may be told in either order.
        let at = self.answers.back().map_or(at, |(last, _)| at.max(*last));
        if self.answers.len() == SAMPLES_MAX {
            self.long.leave_to(SAMPLES_MAX - 1, &self.answers);
            self.short.leave_to(SAMPLES_MAX - 1, &self.answers);
            self.answers.pop_front();
        }
        self.answers.push_back((at, took));
        self.long.enter(took);
        self.short.enter(took);
    }

    /// How fast the answers in a window were. Without one, nothing is known.
    pub fn pace(&mut self, now: Moment, window: Window) -> Pace {
        let view = match window {
            Window::Long => &mut self.long,
            Window::Short => &mut self.short,
        };
        view.forget(now, &self.answers);
        view.pace()
    }

    /// The share of the calls in the long window that failed; unknown without any.
    pub fn failure_share(&mut self, now: Moment) -> Option<f64> {
        self.calls.share(now)
    }
}

impl View {
    fn over(age_max: Duration) -> Self {
        Self {
            age_max,
            n: 0,
            ttft: Sorted::default(),
            tpot_streamed: Sorted::default(),
            tpot_whole: Sorted::default(),
            total: Sorted::default(),
        }
    }

    fn enter(&mut self, took: Took) {
        self.n += 1;
        self.total.insert(took.total);
        if let Some(ttft) = took.ttft {
            self.ttft.insert(ttft);
        }
        if let Some(tpot) = took.tpot {
            self.tpots(took).insert(tpot);
        }
    }

    fn leave(&mut self, took: Took) {
        self.n -= 1;
        self.total.remove(took.total);
        if let Some(ttft) = took.ttft {
            self.ttft.remove(ttft);
        }
        if let Some(tpot) = took.tpot {
            self.tpots(took).remove(tpot);
        }
    }

    /// Where the time per token of such an answer belongs.
    fn tpots(&mut self, took: Took) -> &mut Sorted {
        match took.ttft {
            Some(_) => &mut self.tpot_streamed,
            None => &mut self.tpot_whole,
        }
    }

    /// The oldest answer that is still in this window.
    fn oldest(&self, answers: &VecDeque<(Moment, Took)>) -> Option<(Moment, Took)> {
        let idx = answers.len().checked_sub(self.n)?;
        answers.get(idx).copied()
    }

    /// Lets the oldest go until so many are left.
    fn leave_to(&mut self, n_max: usize, answers: &VecDeque<(Moment, Took)>) {
        while n_max < self.n {
            let Some((_, took)) = self.oldest(answers) else {
                return;
            };
            self.leave(took);
        }
    }

    /// Lets those go that are too old.
    fn forget(&mut self, now: Moment, answers: &VecDeque<(Moment, Took)>) {
        while let Some((at, took)) = self.oldest(answers)
            && self.age_max < now.since(at)
        {
            self.leave(took);
        }
    }

    fn pace(&self) -> Pace {
        let median = |of: &Sorted| measured(of, of.median());
        Pace {
            ttft: median(&self.ttft),
            tpot: median(&self.tpot_streamed).or_else(|| median(&self.tpot_whole)),
            p95: measured(&self.total, self.total.p95()),
        }
    }
}

fn measured(of: &Sorted, value: Option<Duration>) -> Option<Measured> {
    Some(Measured {
        value: value?,
        n: of.len(),
    })
}

impl Calls {
    fn add(&mut self, fate: Fate, at: Moment) {
        let at = self.ends.back().map_or(at, |(last, _)| at.max(*last));
        if self.ends.len() == SAMPLES_MAX {
            self.forget_oldest();
        }
        self.ends.push_back((at, fate));
        self.n_failed += usize::from(fate == Fate::Failed);
    }

    fn forget_oldest(&mut self) {
        if let Some((_, Fate::Failed)) = self.ends.pop_front() {
            self.n_failed -= 1;
        }
    }

    fn share(&mut self, now: Moment) -> Option<f64> {
        while let Some((at, _)) = self.ends.front()
            && LONG < now.since(*at)
        {
            self.forget_oldest();
        }
        if self.ends.is_empty() {
            return None;
        }
        Some(Ratio::of_counts(self.n_failed as u64, self.ends.len() as u64).get())
    }
}

#[cfg(test)]
mod tests;
