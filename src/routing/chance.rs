//! Chance, as an argument: everything that looks random in a decision follows from a seed, so that the
//! same seed makes the same decision again, on any machine and in any version.
//!
//! Choosing by weight is an exponential race (Efraimidis and Spirakis 2006): each candidate draws a
//! time from the seed and its own name, divided by its weight, and the first one wins, which each does
//! with exactly the share of its weight. Since a draw depends on nothing but the seed and the name,
//! changing one weight or removing one candidate moves only those requests that must move; this is
//! weighted rendezvous hashing, and what keeps a user with a model while a canary grows.

/// The source of what chance says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance(u64);

impl Chance {
    /// What a seed says.
    pub const fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// What a text says: the same text always the same.
    pub fn of_text(text: &str) -> Self {
        Self(hash(text))
    }

    /// A chance of its own for one purpose, so that two questions of one request do not get the same
    /// answer.
    #[must_use]
    pub fn about(self, purpose: &str) -> Self {
        Self(scrambled(self.0 ^ hash(purpose)))
    }

    /// The same for another number.
    #[must_use]
    pub const fn at(self, number: u64) -> Self {
        Self(scrambled(self.0 ^ scrambled(number.wrapping_add(1))))
    }

    /// A number from 0 to 1, both excluded.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn uniform(self) -> f64 {
        let bits = scrambled(self.0) >> 11;
        (bits as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// One of so many, each as probable as the others.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position in a short list"
    )]
    pub fn one_of(self, n: usize) -> usize {
        let position = (self.uniform() * n as f64) as usize;
        position.min(n.saturating_sub(1))
    }

    /// When a candidate of this weight arrives in the race that the earliest wins; never, without one.
    pub fn arrival(self, name: &str, weight: f64) -> f64 {
        if weight <= 0.0 {
            return f64::INFINITY;
        }
        -self.about(name).uniform().ln() / weight
    }
}

/// FNV-1a, scrambled: short names differ in few bits.
fn hash(text: &str) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(PRIME);
    scrambled(text.bytes().fold(BASIS, step))
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014): every bit of the result depends on every
/// bit of the number.
const fn scrambled(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lie_between_0_and_1_and_do_not_cluster() {
        let mut tenths = [0_u32; 10];
        for seed in 0..10_000 {
            let number = Chance::of_seed(seed).uniform();
            assert!(0.0 < number && number < 1.0);
            tenths[Chance::of_seed(seed).one_of(10)] += 1;
        }
        // Each expects 1,000 with a deviation of 30.
        assert!(
            tenths.iter().all(|n| (850..1_150).contains(n)),
            "{tenths:?}"
        );
    }

    #[test]
    fn another_purpose_gets_another_answer_and_the_same_one_the_same() {
        let chance = Chance::of_seed(7);
        assert_ne!(chance.about("probe"), chance.about("weighted"));
        assert_eq!(chance.about("probe"), Chance::of_seed(7).about("probe"));
        assert_ne!(chance.at(0), chance.at(1));
    }

    #[test]
    fn what_a_seed_says_does_not_change_between_versions() {
        // Users would be dealt out anew if it did.
        assert_eq!(Chance::of_text("user-1").0, 0xf16d_8d44_0fbb_25d5);
    }

    #[test]
    fn who_has_no_weight_never_arrives() {
        assert!(Chance::of_seed(1).arrival("a", 0.0).is_infinite());
        assert!(Chance::of_seed(1).arrival("a", 1e-9).is_finite());
    }
}
