//! What a plan makes of a logged request. Of a request, its log line keeps the prompt, the caller and
//! what she said of it; rules on headers, hosts, keys, aliases, tools, images and schemas find nothing in
//! it, and how fast targets were is not known of the past.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::caller::{ConversationId, Envelope, Metadata, Tenant};
use crate::domain::chat::Usage;
use crate::domain::logged;
use crate::domain::model::{Model, ModelId};
use crate::domain::quantity::{PicoUsd, Ratio};
use crate::domain::record::Intent;
use crate::domain::standing::Standing;
use crate::engine::complexity::Complexity;
use crate::engine::plan::{Plan, Route};
use crate::eval::replay::Seen;
use crate::gateway::question;
use crate::routing::{
    Asked, Decision, Facts, IntentSignal, Knowledge, Ladder, Matched, Subject, Understanding,
    choose, first_match,
};

/// Of each route, the share of its answered requests that escalated.
pub(super) type Escalated = BTreeMap<String, Ratio>;

/// What stands in the place of a target where a request would be refused. No model is called so.
const REFUSED: &str = "(refused)";

/// What a plan makes of a logged request.
pub(super) fn see(
    record: &logged::Record,
    vector: &[f32],
    plan: &Plan,
    escalated: &Escalated,
) -> Option<Seen> {
    let intent: Intent = plan.centroids.classify(vector, plan.threshold);
    let (route, decision) = decide(record, (vector, &intent), plan)?;
    let Some(decision) = decision else {
        return Some(Seen {
            intent: intent.name,
            out_of_scope: intent.out_of_scope,
            route: route.name.to_string(),
            target: REFUSED.to_owned(),
            cost: None,
        });
    };
    let target = plan.target(decision.first)?;
    Some(Seen {
        intent: intent.name,
        out_of_scope: intent.out_of_scope,
        route: route.name.to_string(),
        target: target.model.name.to_string(),
        cost: cost(record, (route, &decision), plan, escalated),
    })
}

fn decide<'p>(
    record: &logged::Record,
    (vector, intent): (&[f32], &Intent),
    plan: &'p Plan,
) -> Option<(&'p Route, Option<Decision>)> {
    let (name, assistant) = plan.assistant(record.assistant.as_deref()?)?;
    let said = record.prompt_text().unwrap_or_default();
    let request = question(name.as_str(), said).ok()?;
    let words = || said.to_owned();
    let asked = Asked::new(Subject::Chat(&request), &words);
    let (tenant, metadata, conversation) = caller(record);
    let envelope = Envelope::default();
    let facts = Facts {
        asked: &asked,
        tenant: &tenant,
        key: None,
        metadata: &metadata,
        conversation: conversation.as_ref(),
        path: &record.endpoint,
        envelope: &envelope,
        region: plan.region.as_ref(),
        wall: came_at(record),
        seed: record
            .decision
            .as_ref()
            .and_then(|it| it.seed)
            .unwrap_or_default(),
    };
    let rate = |levels: &Complexity| levels.rate(vector);
    let understanding = Understanding {
        intent: IntentSignal::from(intent),
        complexity: plan.complexity.as_ref().and_then(rate).map(|it| it.level),
    };
    let Matched::Rule { idx, .. } = first_match(assistant.rules(), &facts, &understanding)? else {
        return None;
    };
    let route = assistant.routes.get(idx)?;
    let ladder = Ladder {
        way: &route.way,
        salt: &route.label,
        policy: &plan.policy,
        quality: plan.quality.as_deref(),
        intent: understanding.intent.name(),
        incumbent: None,
    };
    let decision = choose(&ladder, &facts, &Past(plan));
    Some((route, decision.ok()))
}

/// When it came, since 1970; then, where the log does not tell.
fn came_at(record: &logged::Record) -> Duration {
    let time: Option<jiff::Timestamp> = record.time.parse().ok();
    let time = time.and_then(|time| {
        time.duration_since(jiff::Timestamp::UNIX_EPOCH)
            .try_into()
            .ok()
    });
    time.unwrap_or_default()
}

/// On whose behalf it came, and what was said of it. What another version wrote and this one cannot read
/// is left out.
fn caller(record: &logged::Record) -> (Tenant, Metadata, Option<ConversationId>) {
    let team = record.tenant.as_ref().and_then(|name| name.parse().ok());
    let mut metadata = Metadata::default();
    for (key, value) in &record.metadata {
        if metadata.add(key.clone(), value.clone()).is_err() {
            break;
        }
    }
    let conversation = record.conversation.as_ref().and_then(|it| it.parse().ok());
    let tenant = team.map_or(Tenant::Anonymous, Tenant::Team);
    (tenant, metadata, conversation)
}

/// Models, of whose speed nothing is known.
struct Past<'p>(&'p Plan);

impl Knowledge for Past<'_> {
    fn model(&self, id: ModelId) -> Option<&Model> {
        self.0.target(id).map(|target| &target.model)
    }

    fn standing(&self, _: ModelId) -> Standing {
        Standing::default()
    }
}

/// The tokens of the answer that was served, at the price of the first model; where the route escalates,
/// as often as it did in the log, the next model's price comes on top.
fn cost(
    record: &logged::Record,
    (route, decision): (&Route, &Decision),
    plan: &Plan,
    escalated: &Escalated,
) -> Option<PicoUsd> {
    let tokens = record.attempts.iter().rev().find_map(|it| it.usage)?;
    let usage = Usage::of(tokens.input_tokens, tokens.output_tokens);
    let priced = |tier: usize| {
        let target = plan.target(decision.tiers.get(tier)?.target)?;
        Some(target.model.price?.of(usage))
    };
    let first = priced(0)?;
    let share = escalated
        .get(route.name.as_str())
        .map_or(0.0, |it| it.get());
    if decision.tiers.len() < 2 || share <= 0.0 {
        return Some(first);
    }
    Some(first + priced(1)?.share(share))
}
