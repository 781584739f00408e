//! Service-level objectives: for now the rate that they will be set on, as an exact ratio over a
//! trailing window.

mod window;

pub use window::{Hit, Window};
