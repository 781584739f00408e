//! What is known of each target while the process lives: how fast its last calls were and how many failed
//! ([`samples`]), how long its answers are ([`outputs`]), and how much it is doing now ([`load`]).
//!
//! All of it is arithmetic on what it is told, with the time as an argument. What nobody told is not known,
//! and what is old is forgotten: a target that was slow an hour ago is unknown now, neither slow nor fast.

pub mod load;
pub mod outputs;
pub mod samples;
mod sorted;
