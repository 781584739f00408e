//! Runs requests: the one place where decisions meet the world.
//!
//! Read [`serve`] first: it is the table of contents. `choose` brings together what routing asks
//! for, [`execute`] performs the steps that the cascade asks for, [`saturated`] helps itself
//! without the encoder, [`access`] says who may ask for what, `passing` hands a stream over piece
//! by piece, [`ledger`] keeps the record of a request until it is over, `spent` what a call used
//! up, [`standing`] what is known of targets, [`plan`] is what all of it runs on.

pub mod access;
mod choose;
pub mod complexity;
mod counting;
mod embeddings;
mod ended_call;
pub mod error;
pub mod execute;
pub mod feedback;
mod incumbents;
pub mod ledger;
mod open_call;
pub mod passages;
mod passing;
pub mod plan;
pub mod saturated;
pub mod serve;
mod spent;
pub mod standing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use crate::centroids::CentroidSet;
use crate::centroids::drift::live::Figures;
use crate::clock::Clock;
use crate::domain::name::IntentName;
use crate::domain::record::EncoderUsed;
use crate::encoder::{EncoderQueue, Identity};
use crate::store::recent_ids::RecentIds;
use crate::store::{Company, RecordLog};
use crate::telemetry::{Metrics, SwapResult};

use incumbents::Incumbents;

pub use counting::Counted;
pub use embeddings::Embedded;
pub use error::{Error, Media};
pub use plan::Plan;
pub use saturated::StaticEncoding;
pub use serve::{Decided, Reply};

/// Everything that a request needs, for as long as the process lives. The plan can be swapped whole; a
/// request holds the one it began with.
pub struct Engine {
    plan: ArcSwap<Plan>,
    encoder: EncoderQueue,
    static_encoding: Option<StaticEncoding>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    log: RecordLog,
    recent: RecentIds,
    /// How many ledgers are open.
    n_open: AtomicUsize,
    /// Whom each route chose last.
    incumbents: Incumbents,
    /// The seed of the next decision.
    next_seed: AtomicU64,
    /// The encoder as records name it, and the static one.
    encoder_used: Arc<EncoderUsed>,
    static_encoder_used: Option<Arc<EncoderUsed>>,
}

/// The parts of an engine.
pub struct Parts {
    /// What it runs.
    pub plan: Plan,
    /// What embeds prompts.
    pub encoder: EncoderQueue,
    /// What embeds them while that has too much to do.
    pub static_encoding: Option<StaticEncoding>,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
    /// What counts.
    pub metrics: Arc<Metrics>,
    /// Where records go.
    pub log: RecordLog,
    /// What chance says in the first decision; those after it count on from there.
    pub seed: u64,
}

impl Engine {
    /// Puts an engine together.
    pub fn new(parts: Parts) -> Arc<Self> {
        let plan = &parts.plan;
        parts.metrics.expect(&plan.centroids, &plan.centroid_digest);
        let fixed = parts.static_encoding.as_ref();
        Arc::new(Self {
            encoder_used: Arc::new(used(parts.encoder.identity())),
            static_encoder_used: fixed.map(|it| Arc::new(used(it.encoder.identity()))),
            plan: ArcSwap::from_pointee(parts.plan),
            encoder: parts.encoder,
            static_encoding: parts.static_encoding,
            clock: parts.clock,
            metrics: parts.metrics,
            log: parts.log,
            recent: RecentIds::default(),
            n_open: AtomicUsize::new(0),
            incumbents: Incumbents::default(),
            next_seed: AtomicU64::new(parts.seed),
        })
    }

    /// The plan in force.
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    /// Puts other centroids in force. Requests that are running keep those that they began with.
    pub fn swap_centroids(&self, centroids: CentroidSet, version: String) -> Result<(), String> {
        let plan = self.plan().with_centroids(centroids, version)?;
        self.metrics.expect(&plan.centroids, &plan.centroid_digest);
        self.plan.store(Arc::new(plan));
        Ok(())
    }

    /// Puts another plan in force. What is known of its targets stays known; requests that are running keep
    /// the plan that they began with.
    pub fn swap_plan(&self, mut plan: Plan) {
        plan.keep_states_of(&self.plan());
        self.metrics.expect(&plan.centroids, &plan.centroid_digest);
        self.plan.store(Arc::new(plan));
    }

    /// How far the last prompts of an intent are from its training rows.
    pub fn drift_of(&self, intent: &IntentName) -> Option<Figures> {
        self.metrics.drift_of(intent)
    }

    /// Counts an attempt to put other centroids in force.
    pub fn count_swap(&self, result: SwapResult) {
        self.metrics.count_swap(result);
    }

    /// The encoder's queue.
    pub fn encoder(&self) -> &EncoderQueue {
        &self.encoder
    }

    /// The time.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// What chance says in one more decision.
    fn seed(&self) -> u64 {
        self.next_seed.fetch_add(1, Ordering::Relaxed)
    }

    /// How many requests are being served: those whose ledgers have not ended.
    pub fn n_open(&self) -> usize {
        self.n_open.load(Ordering::Relaxed)
    }

    /// Whether anybody else is being served, for a request that has closed its ledger.
    fn company(&self) -> Company {
        match self.n_open() {
            0 => Company::Alone,
            _ => Company::Others,
        }
    }

    /// Everything counted so far, in the text format that Prometheus scrapes.
    pub fn metrics_text(&self) -> String {
        let plan = self.plan();
        let running = plan
            .targets
            .iter()
            .map(|target| (&target.model.name, target.state.running()));
        self.metrics.tell_running(running);
        self.metrics.text(self.clock.now())
    }
}

/// An encoder, as records name it.
fn used(identity: &Identity) -> EncoderUsed {
    EncoderUsed {
        name: identity.name.clone(),
        digest: identity.digest.clone(),
        kernel: identity.kernel.clone(),
    }
}
