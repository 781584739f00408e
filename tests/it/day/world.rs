//! The models that are asked: what they cost, how good and how fast they are, and what happens to them in
//! the course of the day. All of it is made up.

use std::collections::BTreeMap;
use std::time::Duration;

use semroute::domain::model::{Abilities, Limits, Model, ModelId, Price, Terms};
use semroute::domain::quality::{QUALITY_VERSION, Quality, QualityTable};
use semroute::domain::quantity::PicoUsd;

use super::traffic::{Arrival, KINDS};

/// A model, and how it behaves.
pub(super) struct Target {
    pub(super) name: &'static str,
    /// Dollars per million tokens of prompt and answer, until noon and from then on.
    pub(super) usd: [(f64, f64); 2],
    /// Milliseconds until the first token, and for each one after it, when all is well.
    pub(super) ttft_ms: f64,
    pub(super) tpot_ms: f64,
    /// How wordy it is.
    pub(super) wordy: f64,
    /// The score that its answers get, by kind of request.
    pub(super) quality: [f64; 3],
    /// With so many calls at a time it is twice as slow.
    pub(super) calls_half: f64,
    /// How many times as slow it is at an hour.
    pub(super) slow: fn(f64) -> f64,
    /// The share of calls that it fails at an hour.
    pub(super) fails: fn(f64) -> f64,
}

pub(super) const QUICK: ModelId = ModelId(0);
pub(super) const MIDDLE: ModelId = ModelId(1);
pub(super) const RIVAL: ModelId = ModelId(2);
pub(super) const STRONG: ModelId = ModelId(3);

/// The four of the table.
pub(super) const FOUR: [Target; 4] = [
    Target {
        name: "quick",
        usd: [(0.15, 0.60); 2],
        ttft_ms: 250.0,
        tpot_ms: 8.0,
        wordy: 0.9,
        quality: [0.82, 0.72, 0.48],
        calls_half: 60.0,
        slow: |_| 1.0,
        fails: |_| 0.004,
    },
    Target {
        name: "middle",
        usd: [(1.0, 4.0); 2],
        ttft_ms: 450.0,
        tpot_ms: 20.0,
        wordy: 1.0,
        quality: [0.88, 0.86, 0.74],
        calls_half: 60.0,
        // Between 15:00 and 21:00 it becomes slower and slower, and stays so.
        slow: |hour| 1.0 + 0.6 * ((hour - 15.0) / 6.0).clamp(0.0, 1.0),
        fails: |_| 0.004,
    },
    Target {
        name: "rival",
        usd: [(1.1, 4.4), (0.8, 3.2)],
        ttft_ms: 400.0,
        tpot_ms: 15.0,
        wordy: 1.05,
        quality: [0.88, 0.85, 0.73],
        calls_half: 60.0,
        slow: |hour| {
            if (10.0..11.5).contains(&hour) {
                3.0
            } else {
                1.0
            }
        },
        fails: |hour| {
            if (18.0..18.75).contains(&hour) {
                0.3
            } else {
                0.004
            }
        },
    },
    Target {
        name: "strong",
        usd: [(3.0, 15.0); 2],
        ttft_ms: 900.0,
        tpot_ms: 28.0,
        wordy: 1.3,
        quality: [0.93, 0.92, 0.90],
        calls_half: 60.0,
        slow: |_| 1.0,
        fails: |_| 0.004,
    },
];

/// The kind of data that `quick` is not cleared for.
pub(super) const PERSONAL: &str = "personal";

/// How a call ends.
pub(super) enum Outcome {
    Answered {
        ttft: Duration,
        total: Duration,
        tokens: u64,
    },
    Failed {
        after: Duration,
    },
}

impl Target {
    /// What becomes of a call that begins now, beside so many others.
    pub(super) fn outcome(&self, arrival: &Arrival, begun: Duration, running: u32) -> Outcome {
        let hour = begun.as_secs_f64() / 3600.0;
        let chance = arrival.chance.about(self.name);
        let drawn = |what: &str| chance.about(what).uniform();
        if drawn("fate") < (self.fails)(hour) {
            let after = Duration::from_millis(500) + Duration::from_secs(3).mul_f64(drawn("after"));
            return Outcome::Failed { after };
        }
        let load = 1.0 + f64::from(running) / self.calls_half;
        // One first token in thirty takes four times as long.
        let stall = if drawn("stall") < 1.0 / 30.0 {
            4.0
        } else {
            1.0
        };
        let ttft_ms =
            self.ttft_ms * load * stall * (0.6 + 0.4 * drawn("ttft") + 0.4 * drawn("ttft, too"));
        let noise = 0.7 + 0.3 * drawn("tpot") + 0.3 * drawn("tpot, too");
        let tpot_ms = self.tpot_ms * load * noise * (self.slow)(hour);
        let tokens = (arrival.answer_tokens * self.wordy).round().max(2.0);
        let ttft = Duration::from_secs_f64(ttft_ms / 1e3);
        Outcome::Answered {
            ttft,
            total: ttft + Duration::from_secs_f64(tpot_ms * (tokens - 1.0) / 1e3),
            tokens: tokens as u64,
        }
    }

    fn model(&self, (input, output): (f64, f64)) -> Model {
        let usd = |price| PicoUsd::per_token(price).unwrap();
        let is_cleared = self.name != FOUR[QUICK.0].name;
        let data = is_cleared.then(|| PERSONAL.parse().unwrap());
        Model {
            name: self.name.parse().unwrap(),
            provider: "simulated".parse().unwrap(),
            upstream_name: self.name.to_owned(),
            price: Some(Price::of_tokens(usd(input), usd(output))),
            limits: Limits::default(),
            abilities: Abilities::default(),
            terms: Terms {
                data: data.into_iter().collect(),
                ..Terms::default()
            },
        }
    }
}

/// The models as the gateway knows them, until noon and from then on.
pub(super) fn models(targets: &[Target]) -> [Vec<Model>; 2] {
    [0, 1].map(|half| {
        targets
            .iter()
            .map(|target| target.model(target.usd[half]))
            .collect()
    })
}

/// What a measurement of 1,000 answers each would say of the quality that the models have.
pub(super) fn quality(targets: &[Target]) -> QualityTable {
    let mut table = QualityTable {
        version: QUALITY_VERSION,
        ..QualityTable::default()
    };
    for (idx, kind) in KINDS.iter().enumerate() {
        let of_kind = targets.iter().map(|target| {
            let mean = target.quality[idx];
            let half = 1.96 * (mean * (1.0 - mean) / 1_000.0).sqrt();
            let quality = Quality {
                mean,
                n: 1_000,
                low: mean - half,
                high: mean + half,
            };
            (target.name.parse().unwrap(), quality)
        });
        table.intents.insert(
            kind.intent.parse().unwrap(),
            of_kind.collect::<BTreeMap<_, _>>(),
        );
    }
    table
}
