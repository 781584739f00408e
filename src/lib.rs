//! semroute: a semantic router and cascade engine for LLM traffic, with its sentence encoder inside the
//! process.
//!
//! Imports run one way, from the bottom of this list to the top; a test enforces it. To follow one
//! prompt, read [`gateway`] (`chat.rs`), then [`engine`] (`serve.rs`, the table of contents, and
//! `execute.rs`, the only place where a decision meets the world), and from there whatever it names.
//!
//! | layer | modules | |
//! |---|---|---|
//! | words | [`domain`], [`vector`] | what every other module speaks |
//! | decide | [`wire`], [`centroids`], [`routing`], [`cascade`], [`verify`], [`slo`], [`eval`], [`budget`], [`catalogue`] | pure: no clock, file, socket or chance |
//! | act | [`clock`], [`encoder`], [`provider`], [`store`], [`telemetry`] | touch the world, decide nothing |
//! | run | [`engine`] | performs decisions |
//! | tell | [`config`] | from a file to a plan |
//! | offer | [`gateway`] | HTTP |
//! | | [`cli`] | commands |
//!
//! What always holds: a request runs on one plan from start to end; it leaves one record, however it
//! ends; routing, escalation and failover are three kinds of event and never merged; no piece of a
//! rejected draft reaches a caller; an unknown cost is never 0.

pub mod domain;
pub mod vector;

pub mod budget;
pub mod cascade;
pub mod catalogue;
pub mod centroids;
pub mod eval;
pub mod health;
pub mod routing;
pub mod slo;
pub mod verify;
pub mod wire;

pub mod clock;
pub mod encoder;
pub mod provider;
pub mod store;
pub mod telemetry;

pub mod engine;

pub mod config;

pub mod gateway;

pub mod cli;
