//! Chance that is no chance: numbers that follow from what is asked, with no state between calls.

/// Everything that a simulated model's fate follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chance(u64);

impl Chance {
    /// The chance of a request to a model, under a seed.
    pub(super) fn of(seed: u64, model: &str, request: &str) -> Self {
        let start = mixed(seed);
        Self(mixed(hashed(request, mixed(hashed(model, start)))))
    }

    /// A number from 0 up to, but not, 1; another one for each purpose.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are exactly what a double holds"
    )]
    pub(super) fn draw(self, purpose: &str) -> f64 {
        let bits = mixed(hashed(purpose, self.0)) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }

    /// A position among `n`, which is 1 or more.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small count is a small count"
    )]
    pub(super) fn choose(self, purpose: &str, n: usize) -> usize {
        let position = (self.draw(purpose) * n as f64) as usize;
        position.min(n.saturating_sub(1))
    }
}

/// FNV-1a over a text, from a start of one's own.
fn hashed(text: &str, start: u64) -> u64 {
    text.bytes()
        .fold(start ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        })
}

/// The finishing step of `SplitMix64`: every bit that goes in moves half of those that come out.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_meets_the_same_fate_and_another_one_its_own() {
        let draw =
            |seed, model, request| Chance::of(seed, model, request).draw("failure").to_bits();
        assert_eq!(draw(1, "a", "x"), draw(1, "a", "x"));
        assert_ne!(draw(1, "a", "x"), draw(2, "a", "x"));
        assert_ne!(draw(1, "a", "x"), draw(1, "b", "x"));
        assert_ne!(draw(1, "a", "x"), draw(1, "a", "y"));
    }

    #[test]
    fn draws_spread_evenly() {
        let mut counts = [0_u32; 10];
        for request in 0..10_000 {
            let chance = Chance::of(7, "m", &request.to_string());
            counts[chance.choose("which", 10)] += 1;
        }
        assert!(
            counts.iter().all(|n| (900..1_100).contains(n)),
            "{counts:?}"
        );
    }
}
