//! The one integration binary; its modules mirror `src/`.

mod architecture;
mod cli;
mod config;
mod encoder;
mod gateway;
mod golden;
mod support;
