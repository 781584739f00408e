//! A whole decision, as the engine makes it: twenty routes with rules of all kinds, of which the last one
//! holds, a policy of three rules, and ten candidates of which all is known that can be.
//!
//! Each route but the last fails by its own condition. The prompt is read and matched twice, as it is where
//! a rule looks at what it means: once before it is embedded, and once after.
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot begin has nothing to tell"
)]

use std::hint::black_box;
use std::sync::Mutex;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use semroute::domain::caller::{Envelope, KeyLabel, Metadata, Tenant};
use semroute::domain::chat::{Need, Request};
use semroute::domain::model::{Abilities, Limits, Model, ModelId, Price, Terms};
use semroute::domain::name::IntentName;
use semroute::domain::quality::{Quality, QualityTable};
use semroute::domain::quantity::{Moment, PicoUsd, Ratio};
use semroute::domain::standing::{Room, Standing};
use semroute::health::outputs::{Outputs, Place};
use semroute::health::samples::{Ended, SAMPLES_MAX, Samples, Took, Window};
use semroute::routing::decide::Way;
use semroute::routing::guard::{CostCap, CostLimit};
use semroute::routing::policy::{Allow, Ceiling, Deny, Restriction};
use semroute::routing::rules::language::{Language, Writing};
use semroute::routing::rules::{Condition, Named, Want, text};
use semroute::routing::strategy::{
    Cheapest, Fastest, Measure, Priority, Score, Sticky, StickyBy, Strategy, Weighted, Weights,
};
use semroute::routing::{
    Asked, Facts, Guards, IntentSignal, Knowledge, Ladder, Matched, Policy, Rule, Subject,
    Understanding, choose, first_match,
};
use semroute::wire::Inbound;
use serde_json::json;

const CANDIDATES: u32 = 10;

/// A paragraph, about as long as what people paste into a chat.
const PROMPT: &str = "We moved our billing jobs to another cluster last week and since then about one invoice in \
    forty is written twice. Both copies carry the same number, so the accounting system rejects the second one, \
    and somebody has to delete it by hand every morning. The job takes a lock in the database before it writes, \
    and the lock has a lifetime of thirty seconds, which used to be far longer than the job ever took. I suspect \
    that the new machines pause for longer than that now and then, but I cannot see it in the graphs, which show \
    one value a minute. How would you find out whether that is what happens, and what would you change so that \
    a pause, however long it is, can never lead to two invoices again?";

struct World {
    models: Vec<Model>,
    states: Vec<Mutex<(Samples, Outputs)>>,
    place: Place,
    now: Moment,
}

impl Knowledge for World {
    fn model(&self, id: ModelId) -> Option<&Model> {
        self.models.get(id.0)
    }

    fn standing(&self, id: ModelId) -> Standing {
        let (samples, outputs) = &mut *self.states[id.0].lock().expect("nobody panics");
        Standing {
            long: samples.pace(self.now, Window::Long),
            short: samples.pace(self.now, Window::Short),
            failure_share: samples.failure_share(self.now),
            output_tokens: outputs.mean_here(&self.place),
            output_tokens_anywhere: outputs.mean_anywhere(),
            room: Room::Free,
        }
    }
}

impl World {
    fn full() -> Self {
        let place = Place {
            route: "default".parse().expect("a name"),
            assistant: "assistant".parse().expect("a name"),
        };
        let state = |idx: u32| {
            let (mut samples, mut outputs) = (Samples::default(), Outputs::default());
            for answer in 0..2 * u32::try_from(SAMPLES_MAX).expect("a hundred") {
                let took = Took {
                    ttft: Some(Duration::from_millis(u64::from(200 + answer % 37))),
                    tpot: Some(Duration::from_micros(u64::from(
                        15_000 + 100 * idx + answer % 101,
                    ))),
                    total: Duration::from_millis(u64::from(3_000 + answer % 997)),
                };
                let at = Moment::after_start(Duration::from_millis(u64::from(500 * answer)));
                samples.add(Ended::Answered(took), at);
                outputs.add(&place, u64::from(200 + answer % 91));
            }
            Mutex::new((samples, outputs))
        };
        Self {
            models: (0..CANDIDATES).map(model).collect(),
            states: (0..CANDIDATES).map(state).collect(),
            place: place.clone(),
            now: Moment::after_start(Duration::from_secs(101)),
        }
    }
}

fn model(idx: u32) -> Model {
    let usd = |price| PicoUsd::per_token(price).expect("a price");
    Model {
        name: format!("model-{idx}").parse().expect("a name"),
        provider: "lab".parse().expect("a name"),
        upstream_name: format!("lab/model-{idx}"),
        price: Some(Price::of_tokens(
            usd(f64::from(1 + idx)),
            usd(f64::from(5 + idx)),
        )),
        limits: Limits {
            context_tokens: Some(128_000),
            output_tokens_max: Some(8_000),
        },
        abilities: Abilities::default(),
        terms: Terms {
            regions: ["eu".parse().expect("a region")].into(),
            data: ["personal".parse().expect("a class")].into(),
            tokenizer_factor: 1.1,
            ..Terms::default()
        },
    }
}

fn named(name: &str, value: &str) -> Named {
    Named {
        name: name.into(),
        values: vec![value.into()],
    }
}

fn words(words: &[&str]) -> Condition {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Condition::Text(text::keywords(&words).expect("words"))
}

fn expression(expression: &str) -> Condition {
    Condition::Text(text::expressions(&[expression.to_owned()]).expect("an expression"))
}

fn intents(names: &[&str]) -> Condition {
    let names = names.iter().map(|name| name.parse().expect("a name"));
    Condition::Intent(names.collect(), Ratio::try_from(0.5).expect("a ratio"))
}

/// Nineteen that fail, and one that holds for everything.
fn rules() -> Vec<Rule> {
    let is = |condition| Rule::of(vec![condition]);
    vec![
        is(Condition::Gateway(vec!["us".parse().expect("a region")])),
        is(Condition::Model(vec!["fast".into()])),
        is(Condition::Path(vec!["/v1/messages*".into()])),
        is(Condition::Host(vec!["chat.example.com".into()])),
        is(Condition::Team(vec!["support".parse().expect("a team")])),
        is(Condition::Key(vec![KeyLabel::new("env:OTHER_KEY")])),
        is(Condition::Header(named("x-tier", "gold"))),
        is(Condition::Header(named("x-experiment", "b"))),
        is(Condition::Metadata(named("environment", "staging"))),
        is(Condition::Metadata(named("feature", "summaries"))),
        is(Condition::Needs(Want::Tools, Need::Yes)),
        is(Condition::Needs(Want::Images, Need::Yes)),
        is(Condition::Tokens(4_000..=u64::MAX)),
        is(words(&["refund", "cancel my contract", "chargeback"])),
        is(expression(r"(?i)\bselect\b.{1,80}\bfrom\b")),
        is(Condition::Script(vec![
            Writing::of_name("cyrillic").expect("a script"),
        ])),
        is(Condition::Language(vec![
            Language::of_code("de").expect("a language"),
        ])),
        is(intents(&["translation", "smalltalk"])),
        Rule::of(vec![Condition::Tokens(0..=50), intents(&["code"])]),
        Rule::default(),
    ]
}

fn policy(models: &[Model]) -> Policy {
    let about = |value| Rule::of(vec![Condition::Metadata(named("data", value))]);
    let personal = Allow {
        regions: vec!["eu".parse().expect("a region")],
        data: vec!["personal".parse().expect("a class")],
        ..Allow::default()
    };
    let ceiling = Allow {
        price: Some(Ceiling {
            input: None,
            output: Some(PicoUsd::per_token(100.0).expect("a price")),
        }),
        ..Allow::default()
    };
    let denied = Deny {
        providers: vec!["elsewhere".parse().expect("a name")],
        ..Deny::default()
    };
    let rule = |name, when, allow: &Allow, deny: &Deny| {
        Restriction::new(name, when, (allow, deny), models)
    };
    Policy::of(vec![
        rule("personal", about("personal"), &personal, &Deny::default()),
        rule("ceiling", Rule::default(), &ceiling, &Deny::default()),
        rule("elsewhere", Rule::default(), &Allow::default(), &denied),
    ])
}

fn quality(models: &[Model], intent: &IntentName) -> QualityTable {
    let quality = Quality {
        mean: 0.85,
        n: 400,
        low: 0.81,
        high: 0.89,
    };
    let of_intent = models.iter().map(|model| (model.name.clone(), quality));
    QualityTable {
        intents: [(intent.clone(), of_intent.collect())].into(),
        ..QualityTable::default()
    }
}

fn strategies(of: &[ModelId]) -> Vec<(&'static str, Strategy, Guards)> {
    let ratio = |share| Ratio::try_from(share).expect("a ratio");
    let probe = ratio(0.05);
    let weights = of.iter().map(|id| (*id, 1.0)).collect::<Vec<_>>();
    let sticky = Some(Sticky {
        by: StickyBy::User,
        window: Some(Duration::from_hours(24)),
    });
    let weighted = |sticky| {
        Strategy::Weighted(Weighted {
            weights: weights.clone(),
            sticky,
        })
    };
    let priority = Strategy::Priority(Priority {
        tpot_max: Some(Duration::from_micros(15_850)),
        probe,
    });
    let fastest = Strategy::Fastest(Fastest {
        by: Measure::Tpot,
        margin: 1.2,
        probe,
    });
    let cheapest = Strategy::Cheapest(Cheapest {
        quality: Some(ratio(0.8)),
        multipliers: vec![(ModelId(3), 0.9)],
    });
    let score = Strategy::Score(Score {
        weights: Weights {
            cost: 1.0,
            latency: 1.0,
            quality: 2.0,
        },
        probe,
    });
    let guards = Guards {
        cost: Some(CostCap {
            limit: CostLimit::PerRequest(PicoUsd::from_usd(0.001).expect("an amount")),
            budget_model: ModelId(1),
        }),
        time: Some(Duration::from_secs(2)),
    };
    vec![
        ("to", Strategy::Pinned, Guards::default()),
        ("weighted", weighted(None), Guards::default()),
        ("weighted, sticky", weighted(sticky), Guards::default()),
        ("priority", priority, Guards::default()),
        ("fastest", fastest, Guards::default()),
        ("cheapest", cheapest.clone(), Guards::default()),
        ("score", score, Guards::default()),
        ("cheapest, guarded", cheapest, guards),
    ]
}

/// What a request is asked with.
struct Asking {
    envelope: Envelope,
    metadata: Metadata,
    tenant: Tenant,
    key: KeyLabel,
}

impl Asking {
    fn new() -> Self {
        let mut metadata = Metadata::default();
        for (key, value) in [
            ("environment", "production"),
            ("data", "personal"),
            ("feature", "chat"),
        ] {
            metadata
                .add(key.to_owned(), value.to_owned())
                .expect("a short pair");
        }
        Self {
            envelope: Envelope {
                host: Some("gateway.example.com".into()),
                headers: vec![
                    ("x-tier".into(), "silver".to_owned()),
                    ("x-experiment".into(), "a".to_owned()),
                ],
            },
            metadata,
            tenant: Tenant::Team("billing".parse().expect("a team")),
            key: KeyLabel::new("env:BILLING_KEY"),
        }
    }

    /// Has something found out about a request that nobody has read yet.
    fn ask<T>(&self, request: &Request, find: impl FnOnce(&Facts<'_>) -> T) -> T {
        let words = || {
            let texts: Vec<&str> = request.messages.iter().map(|it| it.text.as_str()).collect();
            texts.join("\n")
        };
        find(&Facts {
            asked: &Asked::new(Subject::Chat(request), &words),
            tenant: &self.tenant,
            key: Some(&self.key),
            metadata: &self.metadata,
            conversation: None,
            path: "/v1/chat/completions",
            envelope: &self.envelope,
            region: None,
            wall: Duration::from_hours(500_000),
            seed: 7,
        })
    }

    fn last_of(&self, rules: &[Rule], request: &Request, understanding: &Understanding) {
        let unread = self.ask(request, |facts| {
            first_match(rules, facts, &Understanding::NONE)
        });
        assert_eq!(unread, Some(Matched::PromptWanted));
        let matched = self.ask(request, |facts| first_match(rules, facts, understanding));
        let is_last = matches!(matched, Some(Matched::Rule { idx, .. }) if idx + 1 == rules.len());
        assert!(is_last);
    }
}

fn request() -> Request {
    let body = json!({
        "model": "assistant",
        "user": "user-4711",
        "messages": [
            { "role": "system", "content": "You are a patient engineer. Answer briefly." },
            { "role": "user", "content": PROMPT },
        ],
    });
    let request = Inbound::OpenAi
        .read_request(body.to_string().as_bytes())
        .expect("a request");
    // The encoder has read the messages by the time that anybody decides.
    assert_eq!(request.messages.len(), 2);
    request
}

fn understood(intent: &IntentName) -> Understanding {
    Understanding::without(IntentSignal::Known {
        name: intent.clone(),
        probability: 0.8,
    })
}

fn rules_alone(bench: &mut Criterion) {
    let asking = Asking::new();
    let understanding = understood(&intent());
    let is_of_language = |rule: &Rule| matches!(rule.conditions(), [Condition::Language(_)]);
    let mut others = rules();
    others.retain(|rule| !is_of_language(rule));
    for (name, rules) in [
        ("rules/20", rules()),
        ("rules/19, none of language", others),
    ] {
        bench.bench_function(name, |bench| {
            bench.iter_batched(
                request,
                |request| {
                    asking.last_of(&rules, &request, &understanding);
                    request
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn intent() -> IntentName {
    "analysis".parse().expect("a name")
}

fn strategy(bench: &mut Criterion) {
    let world = World::full();
    let policy = policy(&world.models);
    let asking = Asking::new();
    let intent = intent();
    let quality = quality(&world.models, &intent);
    let of: Vec<ModelId> = (0..world.models.len()).map(ModelId).collect();
    for (name, strategy, guards) in strategies(&of) {
        let way = Way::Single {
            of: of.clone(),
            strategy,
            failover: Vec::new(),
            guards,
        };
        let ladder = Ladder {
            way: &way,
            salt: "assistant/default",
            policy: &policy,
            quality: Some(&quality),
            intent: Some(&intent),
            incumbent: Some(ModelId(2)),
        };
        bench.bench_function(&format!("choose/10/{name}"), |bench| {
            bench.iter_batched(
                request,
                |request| {
                    let decision = asking.ask(&request, |facts| choose(&ladder, facts, &world));
                    (black_box(decision), request)
                },
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, rules_alone, strategy);
criterion_main!(benches);
