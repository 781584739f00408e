//! What calls use up. Prices themselves are words ([`crate::domain::model::Price`]); here is what has
//! to be worked out before they can be applied.

pub mod tokens;
