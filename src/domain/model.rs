//! Models that can answer, as the engine knows them, and what their answers cost.

use crate::domain::chat::Usage;
use crate::domain::name::{ModelName, ProviderName};
use crate::domain::quantity::PicoUsd;

/// The position of a model in the plan. Names are resolved to it once, when the config is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::module_name_repetitions,
    reason = "callers import it by this name, beside ids of other things"
)]
pub struct ModelId(pub usize);

/// A model that can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What the operator calls it.
    pub name: ModelName,
    /// Who serves it.
    pub provider: ProviderName,
    /// What its provider calls it.
    pub upstream_name: String,
    /// List price, where it is known.
    pub price: Option<Price>,
}

/// A list price a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// For each token of the prompt.
    pub input: PicoUsd,
    /// For each token of the answer.
    pub output: PicoUsd,
}

impl Price {
    /// What so much use costs.
    pub fn of(&self, usage: Usage) -> PicoUsd {
        self.input.times(usage.input_tokens) + self.output.times(usage.output_tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_and_output_are_priced_apart() {
        let price = Price {
            input: PicoUsd::per_token(1.0).unwrap(),
            output: PicoUsd::per_token(5.0).unwrap(),
        };
        let usage = Usage::of(1_000, 200);
        assert_eq!(price.of(usage).to_string(), "0.002");
    }
}
