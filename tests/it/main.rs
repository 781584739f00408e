//! The one integration binary; its modules mirror `src/`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails, and its helpers with it"
)]

mod access;
mod architecture;
mod bad_http;
mod bad_input;
mod binary;
mod caller_headers;
mod cli;
mod complexity;
mod config;
mod config_keys;
mod config_routes;
mod config_rules;
mod config_teams;
mod costs;
mod counting;
mod day;
mod dialects;
#[cfg(target_os = "linux")]
mod durability;
mod embeddings;
mod encoder;
mod encoder_files;
mod engine;
mod eval_models;
mod gateway;
mod golden;
mod learning;
mod load_limits;
mod messages;
mod mutations;
mod overrides;
mod providers;
mod routes;
mod saturation;
mod secrecy;
mod static_encoder;
mod strategies;
mod support;
mod upstream;
