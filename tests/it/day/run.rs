//! A gateway in virtual time: the product's own decisions, fed with what simulated models did.
//!
//! Things happen in the order of their time. A call says something of its target when it ends, as it does in
//! the engine, so that a decision never knows of an answer that is still being written. A call that fails is
//! made again with whoever stands in.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use semroute::domain::caller::{Envelope, Tenant};
use semroute::domain::chat::Usage;
use semroute::domain::event::ChosenReason;
use semroute::domain::model::{Model, ModelId};
use semroute::domain::quality::QualityTable;
use semroute::domain::quantity::{Moment, PicoUsd, Ratio};
use semroute::domain::standing::Standing;
use semroute::health::load::{Limits, Load};
use semroute::health::outputs::{Outputs, Place};
use semroute::health::samples::{Ended, Samples, Took, Window};
use semroute::routing::decide::Way;
use semroute::routing::policy::{Allow, Deny, Restriction};
use semroute::routing::rules::{Condition, Named};
use semroute::routing::{
    Asked, Decision, Facts, IntentSignal, Knowledge, Ladder, Matched, Policy, Rule, Subject,
    Understanding, choose, first_match,
};

use super::traffic::{Arrival, HOUR, KINDS, Traffic};
use super::world::{self, Outcome, PERSONAL, Target};

/// What became of a request.
pub(super) struct Request {
    pub(super) at: Duration,
    pub(super) kind: usize,
    pub(super) is_personal: bool,
    /// Whom the decision put first, and why.
    pub(super) first: ModelId,
    pub(super) chosen: ChosenReason,
    /// All that were asked, the last one last.
    pub(super) asked: Vec<ModelId>,
    /// From its arrival to the end of its answer, if it got one.
    pub(super) took: Option<Duration>,
    pub(super) cost: PicoUsd,
}

/// What became of all requests of a day.
pub(super) struct Day {
    pub(super) requests: Vec<Request>,
    /// How often a route's incumbent changed.
    pub(super) switches: usize,
}

/// A call that is being made.
struct Call {
    request: usize,
    target: ModelId,
    /// Who is asked if it fails.
    left: VecDeque<ModelId>,
    ends: Ends,
}

enum Ends {
    Answered(Took, u64),
    Failed,
}

/// What a process knows of a target.
struct State {
    samples: Samples,
    outputs: Outputs,
    load: Load,
}

struct Gateway<'a> {
    targets: &'a [Target],
    traffic: &'a Traffic,
    models: [Vec<Model>; 2],
    states: Vec<RefCell<State>>,
    places: Vec<Place>,
    /// Whom each route chose last.
    incumbents: Vec<Option<ModelId>>,
    rules: Vec<Rule>,
    policy: Policy,
    quality: QualityTable,
    /// By when they end, and those that end together by which began first.
    calls: BTreeMap<(Duration, usize), Call>,
    n_calls: usize,
    day: Day,
}

/// The moment that a decision is made at, on a route.
struct Known<'g, 'a> {
    gateway: &'g Gateway<'a>,
    place: &'g Place,
    now: Duration,
}

impl Knowledge for Known<'_, '_> {
    fn model(&self, id: ModelId) -> Option<&Model> {
        self.gateway.models_at(self.now).get(id.0)
    }

    fn standing(&self, id: ModelId) -> Standing {
        let State {
            samples,
            outputs,
            load,
        } = &mut *self.gateway.states[id.0].borrow_mut();
        let now = Moment::after_start(self.now);
        Standing {
            long: samples.pace(now, Window::Long),
            short: samples.pace(now, Window::Short),
            failure_share: samples.failure_share(now),
            output_tokens: outputs.mean_here(self.place),
            output_tokens_anywhere: outputs.mean_anywhere(),
            room: load.room(now),
        }
    }
}

/// Has a day's requests answered, on a route for each intent, all of which choose in the same way.
pub(super) fn day(targets: &[Target], traffic: &Traffic, way: &Way) -> Day {
    let mut gateway = Gateway::new(targets, traffic);
    for arrival in &traffic.arrivals {
        gateway.end_calls(Some(arrival.at));
        gateway.serve(arrival, way);
    }
    gateway.end_calls(None);
    gateway.day
}

impl<'a> Gateway<'a> {
    fn new(targets: &'a [Target], traffic: &'a Traffic) -> Self {
        let models = world::models(targets);
        let state = || State {
            samples: Samples::default(),
            outputs: Outputs::default(),
            load: Load::within(Limits::default()),
        };
        let place = |kind: &super::traffic::Kind| Place {
            route: kind.intent.parse().unwrap(),
            assistant: "assistant".parse().unwrap(),
        };
        let rule = |intent| Rule::of(vec![Condition::Intent(vec![intent], Ratio::default())]);
        let mut rules: Vec<Rule> = traffic.intents.iter().cloned().map(rule).collect();
        rules.push(Rule::default());
        Self {
            targets,
            traffic,
            states: targets.iter().map(|_| RefCell::new(state())).collect(),
            places: KINDS.iter().map(place).collect(),
            incumbents: vec![None; KINDS.len()],
            rules,
            policy: Policy::of(vec![personal(&models[0])]),
            quality: world::quality(targets),
            models,
            calls: BTreeMap::new(),
            n_calls: 0,
            day: Day {
                requests: Vec::new(),
                switches: 0,
            },
        }
    }

    fn models_at(&self, now: Duration) -> &[Model] {
        &self.models[usize::from(HOUR * 12 <= now)]
    }

    /// Decides on a request, and asks whoever was chosen.
    fn serve(&mut self, arrival: &Arrival, way: &Way) {
        let (route, decision) = self.decide(arrival, way);
        if decision.takes_over() {
            let before = self.incumbents[route].replace(decision.first);
            self.day.switches += usize::from(before.is_some_and(|before| before != decision.first));
        }
        let request = self.day.requests.len();
        self.day.requests.push(Request {
            at: arrival.at,
            kind: arrival.kind,
            is_personal: arrival.caller == 1,
            first: decision.first,
            chosen: decision.chosen,
            asked: Vec::new(),
            took: None,
            cost: PicoUsd::ZERO,
        });
        let targets = decision.tiers[0].targets().collect();
        self.call(request, targets, arrival.at);
    }

    fn decide(&self, arrival: &Arrival, way: &Way) -> (usize, Decision) {
        let prompt = &self.traffic.prompts[arrival.prompt];
        let words = || String::new();
        let facts = Facts {
            asked: &Asked::new(Subject::Chat(prompt), &words),
            tenant: &Tenant::Anonymous,
            key: None,
            metadata: &self.traffic.callers[arrival.caller],
            conversation: None,
            path: "/v1/chat/completions",
            envelope: &Envelope::default(),
            region: None,
            wall: arrival.at,
            seed: arrival.chance.about("decision").one_of(1 << 48) as u64,
        };
        let intent = &self.traffic.intents[arrival.kind];
        let understanding = Understanding::without(IntentSignal::Known {
            name: intent.clone(),
            probability: 1.0,
        });
        let matched = first_match(&self.rules, &facts, &understanding);
        let Some(Matched::Rule { idx: route, .. }) = matched else {
            panic!("no route: {matched:?}");
        };
        let place = &self.places[route];
        let ladder = Ladder {
            way,
            salt: place.route.as_str(),
            policy: &self.policy,
            quality: Some(&self.quality),
            intent: Some(intent),
            incumbent: self.incumbents[route],
        };
        let known = Known {
            gateway: self,
            place,
            now: arrival.at,
        };
        (route, choose(&ladder, &facts, &known).unwrap())
    }

    /// Asks the first of these; nobody, if none is left.
    fn call(&mut self, request: usize, mut left: VecDeque<ModelId>, now: Duration) {
        let Some(target) = left.pop_front() else {
            return;
        };
        let load = &mut self.states[target.0].borrow_mut().load;
        let arrival = &self.traffic.arrivals[request];
        let outcome = self.targets[target.0].outcome(arrival, now, load.running());
        load.admit(Moment::after_start(now), 0).unwrap();
        let (ends, after) = match outcome {
            Outcome::Failed { after } => (Ends::Failed, after),
            Outcome::Answered {
                ttft,
                total,
                tokens,
            } => {
                let tpot = total.saturating_sub(ttft) / u32::try_from(tokens - 1).unwrap();
                let took = Took {
                    ttft: Some(ttft),
                    tpot: Some(tpot),
                    total,
                };
                (Ends::Answered(took, tokens), total)
            }
        };
        self.n_calls += 1;
        let call = Call {
            request,
            target,
            left,
            ends,
        };
        self.calls.insert((now + after, self.n_calls), call);
    }

    /// Lets all calls end that end until then.
    fn end_calls(&mut self, until: Option<Duration>) {
        while let Some(first) = self.calls.first_entry()
            && until.is_none_or(|until| first.key().0 <= until)
        {
            let ((now, _), call) = first.remove_entry();
            self.end(call, now);
        }
    }

    fn end(&mut self, call: Call, now: Duration) {
        let Call {
            request,
            target,
            left,
            ends,
        } = call;
        self.states[target.0].get_mut().load.finish();
        let arrival = &self.traffic.arrivals[request];
        self.day.requests[request].asked.push(target);
        match ends {
            Ends::Answered(took, tokens) => {
                self.observe(target, Ended::Answered(took), now);
                let outputs = &mut self.states[target.0].get_mut().outputs;
                outputs.add(&self.places[arrival.kind], tokens);
                let prompt = &self.traffic.prompts[arrival.prompt];
                let usage = Usage::of(prompt.tokens_estimate(), tokens);
                let price = self.models_at(arrival.at)[target.0].price.unwrap();
                let request = &mut self.day.requests[request];
                request.took = Some(now.saturating_sub(arrival.at));
                request.cost = price.of(usage);
            }
            Ends::Failed => {
                self.observe(target, Ended::Failed, now);
                self.call(request, left, now);
            }
        }
    }

    fn observe(&mut self, target: ModelId, ended: Ended, now: Duration) {
        let samples = &mut self.states[target.0].get_mut().samples;
        samples.add(ended, Moment::after_start(now));
    }
}

/// What is about a person goes only to models that are cleared for that.
fn personal(models: &[Model]) -> Restriction {
    let when = Rule::of(vec![Condition::Metadata(Named {
        name: "data".into(),
        values: vec![PERSONAL.into()],
    })]);
    let allow = Allow {
        data: vec![PERSONAL.parse().unwrap()],
        ..Allow::default()
    };
    Restriction::new("about a person", when, (&allow, &Deny::default()), models)
}
