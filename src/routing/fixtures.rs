//! Requests, models and knowledge of them, as the tests of routing want them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::domain::caller::{ConversationId, Envelope, KeyLabel, Metadata, Tenant};
use crate::domain::chat::{
    Delivery, InText, Message, Messages, Need, Needs, OriginalRequest, Request, Role, UsageReport,
};
use crate::domain::model::{Abilities, Limits, Model, ModelId, Price, Terms};
use crate::domain::name::{IntentName, RegionName};
use crate::domain::quality::{QUALITY_VERSION, Quality, QualityTable};
use crate::domain::quantity::PicoUsd;
use crate::domain::standing::{Measured, Pace, Room, Standing};

/// A request with everything about it that a rule may look at.
pub(in crate::routing) struct Asking {
    pub(in crate::routing) text: String,
    pub(in crate::routing) model: String,
    pub(in crate::routing) needs: Needs,
    pub(in crate::routing) tenant: Tenant,
    pub(in crate::routing) key: Option<KeyLabel>,
    pub(in crate::routing) metadata: Metadata,
    pub(in crate::routing) conversation: Option<ConversationId>,
    pub(in crate::routing) path: &'static str,
    pub(in crate::routing) envelope: Envelope,
    pub(in crate::routing) region: Option<RegionName>,
    pub(in crate::routing) wall: Duration,
    pub(in crate::routing) seed: u64,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            text: "hello".to_owned(),
            model: "assistant".to_owned(),
            needs: Needs::default(),
            tenant: Tenant::Anonymous,
            key: None,
            metadata: Metadata::default(),
            conversation: None,
            path: "/v1/chat/completions",
            envelope: Envelope::default(),
            region: None,
            wall: Duration::from_hours(500_000),
            seed: 1,
        }
    }
}

impl Asking {
    pub(in crate::routing) fn about(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }

    pub(in crate::routing) fn seeded(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    pub(in crate::routing) fn by_user(user: &str) -> Self {
        Self {
            needs: Needs {
                user: Some(user.into()),
                ..Needs::default()
            },
            ..Self::default()
        }
    }

    pub(in crate::routing) fn with_header(name: &str, value: &str) -> Self {
        Self {
            envelope: Envelope {
                host: None,
                headers: vec![(name.into(), value.to_owned())],
            },
            ..Self::default()
        }
    }

    /// Has something decided on it.
    pub(in crate::routing) fn ask<T>(&self, decide: impl FnOnce(&Facts<'_>) -> T) -> T {
        let request = self.request();
        let words = || self.text.clone();
        let asked = Asked::new(Subject::Chat(&request), &words);
        decide(&Facts {
            asked: &asked,
            tenant: &self.tenant,
            key: self.key.as_ref(),
            metadata: &self.metadata,
            conversation: self.conversation.as_ref(),
            path: self.path,
            envelope: &self.envelope,
            region: self.region.as_ref(),
            wall: self.wall,
            seed: self.seed,
        })
    }

    fn request(&self) -> Request {
        let needs: Value = json!({
            "text": self.text,
            "tools": self.needs.tools.is_yes(),
            "images": self.needs.images.is_yes(),
            "schema": self.needs.schema.is_yes(),
            "max": self.needs.output_tokens_max,
            "user": self.needs.user.as_deref(),
        });
        let text: std::sync::Arc<str> = needs.to_string().into();
        Request {
            model: self.model.clone(),
            messages: Messages::in_text(text.clone(), |text| {
                let body: Value = serde_json::from_str(text).unwrap();
                vec![Message {
                    role: Role::User,
                    text: body["text"].as_str().unwrap().to_owned(),
                }]
            }),
            delivery: Delivery::Whole,
            usage_report: UsageReport::Hidden,
            schema: None,
            needs: InText::of(text.clone(), |text| {
                let body: Value = serde_json::from_str(text).unwrap();
                let need = |key: &str| Need::from(body[key] == true);
                Needs {
                    tools: need("tools"),
                    images: need("images"),
                    schema: need("schema"),
                    output_tokens_max: body["max"].as_u64(),
                    user: body["user"].as_str().map(Into::into),
                    ..Needs::default()
                }
            }),
            original: OriginalRequest {
                format: crate::domain::chat::Format::OpenAi,
                text,
                model_span: 0..0,
                headers: Vec::new(),
            },
        }
    }
}

/// A prompt whose intent is known to this probability.
pub(in crate::routing) fn known(intent: &str, probability: f64) -> Understanding {
    Understanding::without(IntentSignal::Known {
        name: self::intent(intent),
        probability,
    })
}

pub(in crate::routing) fn intent(name: &str) -> IntentName {
    name.parse().unwrap()
}

/// A model at a price of input and output in dollars per million tokens.
pub(in crate::routing) fn model(name: &str, (input, output): (f64, f64)) -> Model {
    let usd = |price| PicoUsd::per_token(price).unwrap();
    Model {
        name: name.parse().unwrap(),
        provider: "lab".parse().unwrap(),
        upstream_name: name.to_owned(),
        price: Some(Price::of_tokens(usd(input), usd(output))),
        limits: Limits::default(),
        abilities: Abilities::default(),
        terms: Terms::default(),
    }
}

/// Models, and how they have done.
#[derive(Debug, Clone, Default)]
pub(in crate::routing) struct World {
    pub(in crate::routing) models: Vec<Model>,
    pub(in crate::routing) standings: BTreeMap<usize, Standing>,
}

impl Knowledge for World {
    fn model(&self, id: ModelId) -> Option<&Model> {
        self.models.get(id.0)
    }

    fn standing(&self, id: ModelId) -> Standing {
        self.standings.get(&id.0).copied().unwrap_or_default()
    }
}

impl World {
    /// Models of which nothing is known: the first is the cheapest and the last the dearest.
    pub(in crate::routing) fn of(names: &[&str]) -> Self {
        let prices = (1..).map(f64::from);
        let models = names.iter().zip(prices);
        Self {
            models: models.map(|(name, usd)| model(name, (usd, usd))).collect(),
            standings: BTreeMap::new(),
        }
    }

    /// A model takes so long per token, over so many answers, in both windows.
    pub(in crate::routing) fn paced(mut self, idx: usize, tpot_ms: f64, n: usize) -> Self {
        let measured = |value| Some(Measured { value, n });
        let pace = Pace {
            ttft: measured(Duration::from_millis(100)),
            tpot: measured(Duration::from_secs_f64(tpot_ms / 1e3)),
            p95: measured(Duration::from_secs_f64(tpot_ms / 10.0)),
        };
        let standing = self.standings.entry(idx).or_default();
        standing.long = pace;
        standing.short = pace;
        self
    }

    /// A model writes so many tokens.
    pub(in crate::routing) fn writing(mut self, idx: usize, output_tokens: f64) -> Self {
        self.standings.entry(idx).or_default().output_tokens = Some(output_tokens);
        self
    }

    /// A model can take no more calls.
    pub(in crate::routing) fn full(mut self, idx: usize) -> Self {
        self.standings.entry(idx).or_default().room = Room::FullConcurrency;
        self
    }

    pub(in crate::routing) fn ids(&self) -> Vec<ModelId> {
        (0..self.models.len()).map(ModelId).collect()
    }

    /// What a strategy over all models decides.
    pub(in crate::routing) fn decides(
        &self,
        strategy: Strategy,
        asking: &Asking,
    ) -> Result<Decision, NoCandidate> {
        self.decides_on(&single(self.ids(), strategy), asking)
    }

    pub(in crate::routing) fn decides_on(
        &self,
        way: &Way,
        asking: &Asking,
    ) -> Result<Decision, NoCandidate> {
        let policy = Policy::default();
        asking.ask(|facts| choose(&ladder(way, &policy), facts, self))
    }
}

pub(in crate::routing) const fn single(of: Vec<ModelId>, strategy: Strategy) -> Way {
    Way::Single {
        of,
        strategy,
        failover: Vec::new(),
        guards: Guards {
            cost: None,
            time: None,
        },
    }
}

pub(in crate::routing) const fn ladder<'a>(way: &'a Way, policy: &'a Policy) -> Ladder<'a> {
    Ladder {
        way,
        salt: "assistant/route",
        policy,
        quality: None,
        intent: None,
        incumbent: None,
    }
}

/// A table of lower bounds by intent and model.
pub(in crate::routing) fn table(rows: &[(&str, &str, f64)]) -> QualityTable {
    let mut intents: BTreeMap<IntentName, BTreeMap<_, _>> = BTreeMap::new();
    for (intent, model, low) in rows {
        let quality = Quality {
            mean: low + 0.05,
            n: 200,
            low: *low,
            high: low + 0.1,
        };
        let models = intents.entry(self::intent(intent)).or_default();
        models.insert(model.parse().unwrap(), quality);
    }
    QualityTable {
        version: QUALITY_VERSION,
        intents,
        ..QualityTable::default()
    }
}
