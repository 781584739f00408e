pub mod cascade;
pub mod domain;
pub mod provider;
pub mod routing;
pub mod slo;
pub mod vector;
pub mod verify;
pub mod wire;
