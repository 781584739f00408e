//! What a model of this format takes, by its name.
//!
//! Models of one format differ in how they are told to think and to choose words, and refuse a
//! request that says it the old way. Only the older ones must be known by name: the list of those
//! that came before a change is closed, and whatever is new is taken to follow the latest rules.
//! Names without `claude` are other makers' models on servers that speak this format; they are told
//! everything, since nothing is known of them.

/// The output limit that is asked for where the caller set none: the format requires one, and a
/// caller who set none wants the whole answer. Every Claude from version 3.7 on can write so much.
const TOKENS_MAX_DEFAULT: u64 = 32_000;

/// The same for older ones and for models of others: the least that any of them can write.
const TOKENS_MAX_DEFAULT_OLD: u64 = 4_096;

/// Models that take the same fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// Before Claude 3.7: no thinking.
    Early,
    /// Claude 3.7 to 4.5: a budget for thinking.
    Budgeted,
    /// Claude 4.6: thinks as long as it likes, with an effort; words are still chosen by temperature.
    Adaptive,
    /// Claude 4.7 and later: as 4.6, but it refuses temperature and the like.
    Unsampled,
    /// Somebody else's.
    Foreign,
}

impl Generation {
    /// The generation of the model with this name.
    pub(super) fn of(model: &str) -> Self {
        let Some((_, after)) = model.split_once("claude") else {
            return Self::Foreign;
        };
        match version(after) {
            Some(version) if version < (3, 7) => Self::Early,
            Some(version) if version < (4, 6) => Self::Budgeted,
            Some((4, 6)) => Self::Adaptive,
            _ => Self::Unsampled,
        }
    }

    /// The output limit that is asked for where the caller set none.
    pub(super) const fn tokens_max_default(self) -> u64 {
        match self {
            Self::Early | Self::Foreign => TOKENS_MAX_DEFAULT_OLD,
            Self::Budgeted | Self::Adaptive | Self::Unsampled => TOKENS_MAX_DEFAULT,
        }
    }
}

/// The version in a name such as `-opus-4-5-20251101`: the first number of at most two digits, and
/// the one right after it. Longer ones are dates.
fn version(name: &str) -> Option<(u32, u32)> {
    let small = |word: &str| {
        word.parse::<u32>()
            .ok()
            .filter(|_| (1..=2).contains(&word.len()))
    };
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let major = words.find_map(small)?;
    Some((major, words.next().and_then(small).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_generation_on_every_platform() {
        for (name, generation) in [
            ("claude-3-haiku-20240307", Generation::Early),
            ("claude-3-5-sonnet-latest", Generation::Early),
            ("claude-3-7-sonnet-latest", Generation::Budgeted),
            ("claude-opus-4-20250514", Generation::Budgeted),
            ("claude-opus-4-1", Generation::Budgeted),
            (
                "anthropic.claude-sonnet-4-5-20250929-v1:0",
                Generation::Budgeted,
            ),
            ("claude-haiku-4-5@20251001", Generation::Budgeted),
            ("anthropic/claude-opus-4.6", Generation::Adaptive),
            ("claude-sonnet-4-6", Generation::Adaptive),
            ("claude-opus-4-7", Generation::Unsampled),
            ("claude-opus-4-10", Generation::Unsampled),
            ("claude-sonnet-5", Generation::Unsampled),
            ("claude-next-preview", Generation::Unsampled),
            ("deepseek-chat", Generation::Foreign),
        ] {
            assert_eq!(Generation::of(name), generation, "{name}");
        }
    }
}
