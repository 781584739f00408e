//! The sentence encoder inside the process.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::Period;

/// The sentence encoder inside the process.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Encoder {
    /// Which encoder: `embedded` (all-MiniLM-L6-v2, in the binary), `path:DIR` or
    /// `hf:ORG/NAME@REVISION`.
    pub model: String,
    /// Where it runs: `auto`, `cpu`, `cuda:0` or `metal`.
    pub device: String,
    /// What of a conversation is embedded: `last_user` is the person's last turn, `weighted` all of
    /// the person's turns, each counting half as much as the next, `all` the model's turns as well.
    pub text: Text,
    /// How many threads encode; 0 takes one less than the machine has cores. Each prompt is one thread's.
    #[schemars(range(max = 256))]
    pub threads: usize,
    /// How many texts are remembered with their vectors, so that one that comes again costs nothing; 0
    /// remembers none. Each takes 1.8 kB.
    #[schemars(range(max = 1_000_000))]
    pub remember: usize,
    /// The longest that a prompt may wait for the encoder. Behind others that somebody waits for, in the queue or at
    /// every thread, a prompt that takes longer than a group of short ones (32 tokens on a CPU) may wait that much less:
    /// it is done no later than one of that group that waited its longest. Behind bulk it may wait as long as any. With
    /// one that would wait longer than it may is done at once what `encoder.saturated` says.
    pub wait: Period,
    /// What becomes of a prompt that would wait longer: `static`, the static encoder finds its
    /// intent, which takes microseconds and is right less often (the record says so), if the encoder
    /// has one and the centroids were trained for it; `default`, it takes the last route with the reason
    /// `encoder_saturated`, as it does where there is no static encoder.
    pub saturated: Saturated,
    /// The windows that a long prompt is split into, at most; what lies past the last is left out
    /// and the record says `truncated`.
    #[schemars(range(min = 1, max = 64))]
    pub windows: usize,
}

/// What becomes of a prompt that would wait too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Saturated {
    /// The static encoder finds its intent.
    Static,
    /// It takes the last route.
    Default,
}

/// What of a conversation is embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    /// The person's last turn.
    LastUser,
    /// All of the person's turns, each counting half as much as the next.
    Weighted,
    /// All turns of person and model.
    All,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            model: "embedded".to_owned(),
            device: "auto".to_owned(),
            text: Text::LastUser,
            threads: 0,
            remember: crate::encoder::queue::REMEMBERED_MAX,
            wait: Period::of(crate::encoder::queue::WAIT_MAX),
            saturated: Saturated::Static,
            windows: crate::encoder::windowing::WINDOWS_MAX,
        }
    }
}
