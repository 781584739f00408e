//! A day of requests: when they come, what they are about, how long prompt and answer are.
//!
//! Whatever chance says follows from a seed and from adding, multiplying, dividing and square roots, which
//! every processor rounds alike. Nothing takes a logarithm or a power: those differ in their last digit from
//! one machine to another, and one decision made otherwise would change all that come after it.

use std::time::Duration;

use semroute::domain::caller::Metadata;
use semroute::domain::chat::Request;
use semroute::domain::name::IntentName;
use semroute::routing::chance::Chance;
use semroute::wire::Inbound;
use serde_json::json;

pub(super) const HOUR: Duration = Duration::from_hours(1);

/// Requests of each hour, beginning at midnight.
const BY_HOUR: [u32; 24] = [
    240, 180, 150, 150, 180, 300, 600, 1_050, 1_650, 2_100, 2_250, 2_250, 1_950, 2_100, 2_250,
    2_250, 2_100, 1_950, 1_650, 1_350, 1_050, 750, 510, 360,
];

/// One request in so many is about a person, and marked so in its metadata.
const PERSONAL: usize = 20;

/// What requests are about.
pub(super) struct Kind {
    pub(super) intent: &'static str,
    /// Requests of a hundred.
    share: u32,
    /// Tokens of a prompt: shortest and longest. Most lie near the shortest.
    prompt: (f64, f64),
    /// Tokens of an answer on average, from a model that is neither curt nor wordy.
    answer: f64,
}

pub(super) const KINDS: [Kind; 3] = [
    Kind {
        intent: "chat",
        share: 55,
        prompt: (60.0, 1_200.0),
        answer: 160.0,
    },
    Kind {
        intent: "extraction",
        share: 25,
        prompt: (900.0, 7_000.0),
        answer: 110.0,
    },
    Kind {
        intent: "code",
        share: 20,
        prompt: (250.0, 5_000.0),
        answer: 550.0,
    },
];

/// Different lengths of prompts of a kind.
const LENGTHS: usize = 32;

/// A request on its way.
pub(super) struct Arrival {
    pub(super) at: Duration,
    pub(super) kind: usize,
    /// Which of the prompts.
    pub(super) prompt: usize,
    /// Tokens of an answer from a model that is neither curt nor wordy.
    pub(super) answer_tokens: f64,
    pub(super) caller: usize,
    /// What chance has to say of it, the same whoever is asked.
    pub(super) chance: Chance,
}

pub(super) struct Traffic {
    pub(super) arrivals: Vec<Arrival>,
    pub(super) prompts: Vec<Request>,
    /// What the callers say: nothing, or that it is about a person.
    pub(super) callers: [Metadata; 2],
    pub(super) intents: Vec<IntentName>,
}

impl Traffic {
    /// The day that the table is about.
    pub(super) fn of_a_day() -> Self {
        Self::of(&BY_HOUR, Chance::of_text("a day"))
    }

    /// So many requests in each hour, each at a moment that chance picks.
    pub(super) fn of(by_hour: &[u32], chance: Chance) -> Self {
        let mut arrivals = Vec::new();
        for (hour, n) in (0..).zip(by_hour) {
            let begin = HOUR * hour;
            let chance = chance.at(u64::from(hour));
            let mut times: Vec<Duration> = (0..u64::from(*n))
                .map(|idx| begin + HOUR.mul_f64(chance.about("time").at(idx).uniform()))
                .collect();
            times.sort_unstable();
            let of_hour = (0..).zip(times);
            arrivals.extend(of_hour.map(|(idx, at)| Arrival::at(at, chance.at(idx))));
        }
        let mut personal = Metadata::default();
        personal
            .add("data".to_owned(), "personal".to_owned())
            .unwrap();
        Self {
            arrivals,
            prompts: KINDS.iter().flat_map(prompts).collect(),
            callers: [Metadata::default(), personal],
            intents: KINDS
                .iter()
                .map(|kind| kind.intent.parse().unwrap())
                .collect(),
        }
    }
}

impl Arrival {
    fn at(at: Duration, chance: Chance) -> Self {
        let of_hundred = chance.about("kind").one_of(100);
        let is_kind = |upto: &mut u32, kind: &Kind| {
            *upto += kind.share;
            Some(of_hundred < *upto as usize)
        };
        let kind = KINDS.iter().scan(0, is_kind).position(|is| is).unwrap();
        // Pareto's distribution with exponent 2 and mean 1: one answer in a hundred is five times as long.
        let tail = 0.5 / chance.about("answer").uniform().sqrt();
        Self {
            at,
            kind,
            prompt: kind * LENGTHS + chance.about("prompt").one_of(LENGTHS),
            answer_tokens: KINDS[kind].answer * tail.min(8.0),
            caller: usize::from(chance.about("caller").one_of(PERSONAL) == 0),
            chance,
        }
    }
}

/// Prompts of a kind, the shortest first; half of them in the first eighth of the span.
fn prompts(kind: &Kind) -> Vec<Request> {
    let (shortest, longest) = kind.prompt;
    let steps =
        (0..LENGTHS).map(|step| f64::from(u32::try_from(step).unwrap()) / (LENGTHS - 1) as f64);
    let lengths = steps.map(|step| shortest + (longest - shortest) * step * step * step);
    lengths.map(|tokens| prompt(tokens as usize)).collect()
}

fn prompt(n_tokens: usize) -> Request {
    // A short word with its space is a token.
    let text = "word ".repeat(n_tokens);
    let body = json!({ "model": "assistant", "messages": [{ "role": "user", "content": text }] });
    Inbound::OpenAi
        .read_request(body.to_string().as_bytes())
        .unwrap()
}
