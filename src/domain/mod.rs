//! The words that every other module speaks: conversations, models, names, quantities, events and
//! the record of a request. Nothing here decides or acts.

pub mod chat;
pub mod event;
pub mod model;
pub mod name;
pub mod quantity;
pub mod record;
