//! The part of a set for the static encoder: trained in the same run from the same rows, with the same
//! folds and by the same choice of rules.

use crate::centroids::CentroidSet;
use crate::cli::report::Reporter;
use crate::cli::train::gather::Gathered;
use crate::cli::train::{Arguments, fit};

/// The set with a static part, where one can be made. A set that stands on an older one takes over the
/// older one's: of the older rows no words are at hand.
pub(super) fn add(
    set: CentroidSet,
    gathered: &Gathered,
    arguments: &Arguments,
    reporter: Reporter,
) -> anyhow::Result<CentroidSet> {
    if let Some(rows) = &gathered.static_rows {
        return match fit(rows, arguments, &mut |_| {}) {
            Ok(part) => Ok(set.with_static_part(part.set)?),
            Err(problem) => {
                reporter.warning(&format!(
                    "there is no part for the static encoder, so prompts will take the last route \
                     while the encoder has too much to do: {problem:#}"
                ));
                Ok(set)
            }
        };
    }
    let Some(base) = &gathered.base else {
        return Ok(set);
    };
    match base.set.static_part() {
        Some(part) if set.has_intents_of(part) => {
            reporter.note("the part for the static encoder is the base's: its rows have no words");
            Ok(set.with_static_part(part.clone())?)
        }
        Some(_) => {
            reporter.warning(
                "the base's part for the static encoder knows other intents and is left out, so prompts \
                 will take the last route while the encoder has too much to do; train anew from all \
                 labels to have one",
            );
            Ok(set)
        }
        None => Ok(set),
    }
}
