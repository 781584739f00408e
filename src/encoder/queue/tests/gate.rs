//! An encoder that a test holds at a gate, and a queue in front of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use futures_util::future::poll_immediate;

use super::*;
use crate::encoder::Window;
use crate::vector::Vectors;

/// What the encoder shall do with the batch that waits at the gate.
pub(super) enum Order {
    Encode,
    /// Encode, and let so many milliseconds pass.
    EncodeFor(u64),
    Fail,
    Panic,
    GiveNothing,
}

/// Stops at a gate with every batch, so that a test decides what is queued meanwhile. A word is a
/// token; the vector of a window points along its first one: `a` or anything else.
struct Gated {
    identity: Identity,
    clock: Arc<AtomicU64>,
    arrived: mpsc::Sender<usize>,
    orders: Mutex<mpsc::Receiver<Order>>,
}

impl Encoder for Gated {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn tokenise(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(text
            .split_whitespace()
            .map(|word| u32::from(word != "a"))
            .collect())
    }

    fn encode(&self, windows: &[Window]) -> Result<Vectors, Error> {
        self.arrived.send(windows.len()).unwrap();
        let order = self.orders.lock().unwrap().recv().unwrap();
        match order {
            Order::Encode => {}
            Order::EncodeFor(millis) => {
                self.clock.fetch_add(millis, Ordering::SeqCst);
            }
            Order::Fail => return Err(Error::Compute("out of order".to_owned())),
            Order::Panic => panic!("out of its mind"),
            Order::GiveNothing => return Ok(Vectors::new(2)),
        }
        let mut rows = Vectors::new(2);
        for window in windows {
            let row = if window.tokens[0] == 0 {
                [1.0, 0.0]
            } else {
                [0.0, 1.0]
            };
            assert!(rows.push(&row));
        }
        Ok(rows)
    }
}

pub(super) type Call = Pin<Box<dyn Future<Output = Result<Embedding, Refusal>> + Send>>;

/// A queue over a gated encoder. The queue is dropped last: when a test fails, the gate has to open
/// before the thread is joined.
pub(super) struct Story {
    pub(super) clock: Arc<AtomicU64>,
    arrived: mpsc::Receiver<usize>,
    orders: mpsc::Sender<Order>,
    pub(super) seen: Arc<Mutex<Vec<BatchSeen>>>,
    pub(super) queue: EncoderQueue,
}

impl Story {
    pub(super) fn with(settings: Settings) -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let (arrived_in, arrived) = mpsc::channel();
        let (orders, orders_out) = mpsc::channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let encoder = Gated {
            identity: Identity {
                name: "gated".to_owned(),
                digest: String::new(),
                kernel: "none".to_owned(),
                dimensions: 2,
                window_tokens: 12,
                device: "cpu".to_owned(),
            },
            clock: Arc::clone(&clock),
            arrived: arrived_in,
            orders: Mutex::new(orders_out),
        };
        let time = Arc::clone(&clock);
        let listener = Arc::clone(&seen);
        let queue = EncoderQueue::start(
            Arc::new(encoder),
            settings,
            Arc::new(move || Duration::from_millis(time.load(Ordering::SeqCst))),
            Box::new(move |batch| listener.lock().unwrap().push(batch)),
        );
        Self {
            queue: queue.unwrap(),
            clock,
            arrived,
            orders,
            seen,
        }
    }

    pub(super) fn new() -> Self {
        Self::with(one_thread())
    }

    /// Leaves a text in the queue.
    pub(super) fn call(&self, text: &str) -> Call {
        self.call_as(Class::Interactive, text)
    }

    pub(super) fn call_as(&self, class: Class, text: &str) -> Call {
        let queue = self.queue.clone();
        let passages = vec![Passage::new(text)];
        let mut call: Call = Box::pin(async move { queue.embed(&passages, class).await });
        assert!(
            wait_for(poll_immediate(&mut call)).is_none(),
            "{text:?} was answered at once"
        );
        call
    }

    /// Calls with a text that is refused without waiting.
    pub(super) fn refused(&self, text: &str) -> Refusal {
        self.refused_as(Class::Interactive, text)
    }

    pub(super) fn refused_as(&self, class: Class, text: &str) -> Refusal {
        let passages = [Passage::new(text)];
        let call = poll_immediate(self.queue.embed(&passages, class));
        wait_for(call).expect("an answer at once").unwrap_err()
    }

    /// Waits until a batch stands at the gate; says how many windows it has.
    pub(super) fn batch(&self) -> usize {
        self.arrived.recv().unwrap()
    }

    pub(super) fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }
}

/// One thread that remembers nothing, and groups of any size.
pub(super) fn one_thread() -> Settings {
    Settings {
        threads: Some(1),
        remembered_max: 0,
        ..Settings::default()
    }
}

pub(super) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}
