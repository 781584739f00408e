//! What the process knows of a target, shared by all requests that might ask it.
//!
//! A target's state belongs to its name: it goes along when centroids are swapped, since the plan that takes
//! the place of the old one has the same targets, and when a whole plan is ([`Plan::keep_states_of`]). Plans
//! hold it at the target's position, so that a request looks nothing up. There is one lock a target, held
//! for as long as a few figures take.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::quantity::Moment;
use crate::domain::standing::{Room, Standing};
use crate::engine::Plan;
use crate::health::load::{Admitted, Full, Limits, Load};
use crate::health::outputs::{Outputs, Place};
use crate::health::samples::{Ended, Samples, Window};

/// What is known of a target.
pub struct TargetState(Mutex<Known>);

struct Known {
    samples: Samples,
    outputs: Outputs,
    load: Load,
}

/// What a call that has ended says of its target.
pub(super) struct Observed {
    /// How it ended; nothing, if its target has no part in that.
    pub(super) ended: Option<Ended>,
    /// The tokens of its answer, and where it was asked.
    pub(super) output: Option<(Place, u64)>,
    /// All tokens that it used, where they are known.
    pub(super) tokens_used: Option<u64>,
}

impl TargetState {
    /// Of a target that nobody has asked yet.
    pub fn within(limits: Limits) -> Self {
        Self(Mutex::new(Known {
            samples: Samples::default(),
            outputs: Outputs::default(),
            load: Load::within(limits),
        }))
    }

    /// How it has done lately, and whether it can take one more call from this place.
    pub fn standing(&self, place: &Place, now: Moment) -> Standing {
        let mut known = self.known();
        let Known {
            samples,
            outputs,
            load,
        } = &mut *known;
        Standing {
            long: samples.pace(now, Window::Long),
            short: samples.pace(now, Window::Short),
            failure_share: samples.failure_share(now),
            output_tokens: outputs.mean_here(place),
            output_tokens_anywhere: outputs.mean_anywhere(),
            room: load.room(now),
        }
    }

    /// How many tokens its answers to this place have on average.
    pub fn output_tokens(&self, place: &Place) -> Option<f64> {
        self.known().outputs.mean(place)
    }

    /// Whether it can take one more call.
    pub fn room(&self, now: Moment) -> Room {
        self.known().load.room(now)
    }

    /// What one more call must wait for, if for anything.
    pub fn full(&self, now: Moment) -> Option<Full> {
        self.known().load.full(now, 0)
    }

    /// How many calls to it are running.
    pub fn running(&self) -> u32 {
        self.known().load.running()
    }

    /// Takes a place for a call that is expected to use so many tokens, or says what it must wait for.
    pub fn permit(self: &Arc<Self>, now: Moment, tokens: u64) -> Result<Permit, Full> {
        let admitted = self.known().load.admit(now, tokens)?;
        Ok(Permit {
            state: Arc::clone(self),
            admitted,
        })
    }

    fn limit(&self, limits: Limits) {
        self.known().load.limit(limits);
    }

    fn keep(&self, is_there: impl Fn(&Place) -> bool) {
        self.known().outputs.keep(is_there);
    }

    /// Figures that another thread left in the middle of a change are off by one call, which passes; a
    /// target that can never be asked again would not.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for one call, free again when this is dropped.
#[must_use = "the place is free again as soon as this is dropped"]
pub struct Permit {
    state: Arc<TargetState>,
    admitted: Admitted,
}

impl Permit {
    /// The call has ended. What it says of its target is told when its tokens are known.
    pub(super) fn ended(self) -> Unsettled {
        Unsettled {
            state: Arc::clone(&self.state),
            admitted: self.admitted,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.state.known().load.finish();
    }
}

/// A call that has ended and freed its place, and whose tokens are those that were expected.
pub(super) struct Unsettled {
    state: Arc<TargetState>,
    admitted: Admitted,
}

impl Unsettled {
    /// Takes in what the call says of its target, and when it had ended.
    pub(super) fn settle(self, observed: Observed, at: Moment) {
        let mut known = self.state.known();
        if let Some(used) = observed.tokens_used {
            known.load.settle(self.admitted, used, at);
        }
        if let Some(ended) = observed.ended {
            known.samples.add(ended, at);
        }
        if let Some((place, tokens)) = observed.output {
            known.outputs.add(&place, tokens);
        }
    }
}

impl Plan {
    /// Goes on with what is known of targets that another plan has by the same name, under the limits of
    /// this one. Of a name that stands for another model now, nothing is known.
    pub fn keep_states_of(&mut self, before: &Self) {
        for target in &mut self.targets {
            let model = &target.model;
            let same = before.targets.iter().find(|it| {
                it.model.name == model.name
                    && it.model.provider == model.provider
                    && it.model.upstream_name == model.upstream_name
            });
            if let Some(same) = same {
                target.state = Arc::clone(&same.state);
                target.state.limit(target.load_limits);
            }
        }
        for target in &self.targets {
            target.state.keep(|place| self.has(place));
        }
    }

    fn has(&self, place: &Place) -> bool {
        let assistant = self.assistants.get(&place.assistant);
        assistant.is_some_and(|it| it.routes.iter().any(|route| route.name == place.route))
    }
}

#[cfg(test)]
mod tests;
