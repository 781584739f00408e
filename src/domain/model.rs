//! Models that can answer, as the engine knows them, and what their answers cost.

use std::sync::Arc;

use crate::domain::chat::Usage;
use crate::domain::name::{DataClass, ModelName, ProviderName, RegionName};
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
    /// How much it takes and gives.
    pub limits: Limits,
    /// What it can do beside writing text.
    pub abilities: Abilities,
    /// What it may see, and how its text is counted.
    pub terms: Terms,
}

/// What the operator says of a model beside what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Everywhere that it may process data; not known, if there is none.
    pub regions: Arc<[RegionName]>,
    /// The kinds of data that it is cleared for.
    pub data: Arc<[DataClass]>,
    /// Tokens that it makes of a text, for each of the estimate's.
    pub tokenizer_factor: f64,
    /// Tokens of what the operator adds to each prompt, by the estimate.
    pub added_tokens: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            regions: Arc::default(),
            data: Arc::default(),
            tokenizer_factor: 1.0,
            added_tokens: 0,
        }
    }
}

impl Terms {
    /// How many tokens the model makes of a prompt, for so many of the estimate's: those that the operator
    /// adds to it are on top.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate; a factor is a small positive number"
    )]
    pub fn tokens(&self, estimated: u64) -> u64 {
        let all = estimated.saturating_add(self.added_tokens);
        (all as f64 * self.tokenizer_factor).round() as u64
    }
}

/// A rung of a route: who is asked, and who stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// The model of this tier.
    pub target: ModelId,
    /// Models that stand in for it when it cannot answer, in order.
    pub stand_ins: Vec<ModelId>,
}

impl Tier {
    /// All targets of this tier, its own first.
    pub fn targets(&self) -> impl Iterator<Item = ModelId> {
        std::iter::once(self.target).chain(self.stand_ins.iter().copied())
    }
}

/// A list price a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// For each token of the prompt that the provider's cache has nothing to do with.
    pub input: PicoUsd,
    /// For each token of the answer.
    pub output: PicoUsd,
    /// For each token of the prompt that the provider had in its cache, where that is known.
    pub cached_read: Option<PicoUsd>,
    /// For each token of the prompt that the provider put into its cache, where that is known.
    pub cache_write: Option<PicoUsd>,
}

impl Price {
    /// A price that makes no difference between tokens in the provider's cache and others.
    pub const fn of_tokens(input: PicoUsd, output: PicoUsd) -> Self {
        Self {
            input,
            output,
            cached_read: None,
            cache_write: None,
        }
    }

    /// What so much use costs.
    ///
    /// Without a price of their own, tokens of the cache cost what others do: a discount that nobody
    /// promised would understate the bill.
    pub fn of(&self, usage: Usage) -> PicoUsd {
        let read = usage.cached_input_tokens.min(usage.input_tokens);
        let not_read = usage.input_tokens - read;
        let written = usage.cache_write_tokens.min(not_read);
        self.input.times(not_read - written)
            + self.cached_read.unwrap_or(self.input).times(read)
            + self.cache_write.unwrap_or(self.input).times(written)
            + self.output.times(usage.output_tokens)
    }
}

/// How much a model takes and gives; what is not known is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Tokens of prompt and answer together.
    pub context_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens_max: Option<u64>,
}

/// What a model can do beside writing text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// Call tools.
    pub tools: Ability,
    /// Read images.
    pub images: Ability,
    /// Keep to a JSON Schema that the request gives.
    pub json_schema: Ability,
    /// Think before it answers.
    pub reasoning: Ability,
}

/// Whether a model can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ability {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// Nobody said.
    #[default]
    Unknown,
}

impl Ability {
    /// What a yes, a no or silence means.
    pub const fn told(said: Option<bool>) -> Self {
        match said {
            Some(true) => Self::Yes,
            Some(false) => Self::No,
            None => Self::Unknown,
        }
    }

    /// The yes, the no or the silence.
    pub const fn said(self) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No => Some(false),
            Self::Unknown => None,
        }
    }
}

impl Abilities {
    /// Each with its name, as configurations and lists write it.
    pub const fn named(self) -> [(&'static str, Ability); 4] {
        [
            ("tools", self.tools),
            ("images", self.images),
            ("json_schema", self.json_schema),
            ("reasoning", self.reasoning),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(per_million: f64) -> PicoUsd {
        PicoUsd::per_token(per_million).unwrap()
    }

    #[test]
    fn input_and_output_are_priced_apart() {
        let price = Price::of_tokens(usd(1.0), usd(5.0));
        assert_eq!(price.of(Usage::of(1_000, 200)).to_string(), "0.002");
    }

    #[test]
    fn tokens_of_the_cache_have_prices_of_their_own() {
        let price = Price {
            cached_read: Some(usd(0.1)),
            cache_write: Some(usd(1.25)),
            ..Price::of_tokens(usd(1.0), usd(5.0))
        };
        let usage = Usage {
            cached_input_tokens: 600,
            cache_write_tokens: 300,
            reasoning_tokens: 150,
            ..Usage::of(1_000, 200)
        };
        // 100 plain, 600 read, 300 written, 200 out, of which reasoning is a part already.
        assert_eq!(price.of(usage).to_string(), "0.001535");
    }

    #[test]
    fn tokens_of_the_cache_cost_what_others_do_where_no_price_of_theirs_is_known() {
        let price = Price::of_tokens(usd(1.0), usd(5.0));
        let usage = Usage {
            cached_input_tokens: 600,
            cache_write_tokens: 300,
            ..Usage::of(1_000, 0)
        };
        assert_eq!(price.of(usage), price.of(Usage::of(1_000, 0)));
    }

    /// Prices in millionths of a dollar a million tokens, so that a sum in whole numbers can be
    /// compared.
    fn prices() -> impl Strategy<Value = [u64; 4]> {
        proptest::array::uniform4(0_u64..=1_000_000_000)
    }

    fn price(of: [u64; 4]) -> Price {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let per_token = |micro: u64| usd(micro as f64 / 1e6);
        Price {
            input: per_token(of[0]),
            output: per_token(of[1]),
            cached_read: Some(per_token(of[2])),
            cache_write: Some(per_token(of[3])),
        }
    }

    fn used(plain: u64, output: u64, read: u64, written: u64) -> Usage {
        Usage {
            cached_input_tokens: read,
            cache_write_tokens: written,
            ..Usage::of(plain + read + written, output)
        }
    }

    /// The whole amount, down to the last unit; `times` of a price of one unit counts units.
    fn units(amount: PicoUsd) -> u128 {
        let digits = format!("{:.12}", amount.as_usd());
        let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_cost_is_exact(of in prices(), tokens in proptest::array::uniform4(0_u64..1_000)) {
            let cost = price(of).of(used(tokens[0], tokens[1], tokens[2], tokens[3]));
            let exact: u128 = of.iter().zip(tokens).map(|(price, n)| u128::from(*price) * u128::from(n)).sum();
            prop_assert_eq!(units(cost), exact);
        }

        #[test]
        fn more_tokens_never_cost_less(
            of in prices(),
            tokens in proptest::array::uniform4(0_u64..u64::MAX / 8),
            more in proptest::array::uniform4(0_u64..u64::MAX / 8),
        ) {
            let price = price(of);
            let less = price.of(used(tokens[0], tokens[1], tokens[2], tokens[3]));
            let all = price.of(used(
                tokens[0] + more[0], tokens[1] + more[1], tokens[2] + more[2], tokens[3] + more[3],
            ));
            prop_assert!(less <= all);
        }

        #[test]
        fn no_usage_overflows_however_odd(of in prices(), counts in proptest::array::uniform5(any::<u64>())) {
            let usage = Usage {
                cached_input_tokens: counts[2],
                cache_write_tokens: counts[3],
                reasoning_tokens: counts[4],
                ..Usage::of(counts[0], counts[1])
            };
            let cost = price(of).of(usage);
            prop_assert!(PicoUsd::ZERO <= cost);
        }
    }
}
