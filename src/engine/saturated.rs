//! What happens to a prompt for which the encoder has no time: the static encoder says what it is
//! about, in the caller's own task, in microseconds. It is right less often than the main one and far
//! more often than the last route, which is what is left without it.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::record::{Intent, IntentEncoder, TextUsed};
use crate::encoder::windowing::prepare;
use crate::encoder::{Encoder, Error, Passage};
use crate::engine::ledger::Ledger;
use crate::engine::{Engine, Plan};
use crate::routing::IntentSignal;
use crate::vector::weighted_direction;

/// The static encoder, and how much of a prompt it reads: as much as the main one.
#[derive(Clone)]
pub struct StaticEncoding {
    /// The encoder.
    pub encoder: Arc<dyn Encoder>,
    /// The most windows of one prompt.
    pub windows_max: usize,
}

/// A prompt's vector by the static encoder.
struct Embedded {
    vector: Vec<f32>,
    text: TextUsed,
}

impl StaticEncoding {
    /// `None` if there is no word to embed.
    fn embed(&self, passages: &[Passage]) -> Result<Option<Embedded>, Error> {
        let windowed = prepare(self.encoder.as_ref(), passages, self.windows_max)?;
        let rows = self.encoder.encode(&windowed.windows)?;
        let weights = windowed.weights.iter().copied();
        let vector = weighted_direction(rows.rows().zip(weights));
        Ok(vector.map(|vector| Embedded {
            vector,
            text: TextUsed {
                tokens: windowed.tokens,
                windows: windowed.windows.len(),
                truncated: windowed.truncated,
                batch_size: 1,
            },
        }))
    }
}

impl Engine {
    /// Finds the nearest intent of a prompt that the encoder's queue refused after so long a wait, by the
    /// static encoder if there is one and the centroids have a part for it.
    pub(super) fn classify_saturated(
        &self,
        plan: &Plan,
        passages: &[Passage],
        queued: Duration,
        ledger: &mut Ledger,
    ) -> IntentSignal {
        ledger.record.timings.queue = queued;
        let part = plan.centroids.static_part();
        let (Some(fixed), Some(part)) = (&self.static_encoding, part) else {
            return IntentSignal::EncoderSaturated;
        };
        let began = self.clock.now();
        let embedded = match fixed.embed(passages) {
            Ok(Some(embedded)) => embedded,
            Ok(None) => return IntentSignal::NoText,
            Err(problem) => {
                tracing::error!(request_id = %ledger.record.request_id, %problem, "no static embedding");
                return IntentSignal::EncoderSaturated;
            }
        };
        let encoded = self.clock.now();
        let intent = Intent {
            encoder: IntentEncoder::Static,
            ..part.classify(&embedded.vector, plan.out_of_scope.threshold(part))
        };
        let record = &mut ledger.record;
        record.timings.encode = encoded.since(began);
        record.timings.classify = self.clock.now().since(encoded);
        record.text = Some(embedded.text);
        if let Some(used) = &self.static_encoder_used {
            record.encoder = Arc::clone(used);
        }
        let signal = IntentSignal::from(&intent);
        record.intent = Some(intent);
        signal
    }
}
