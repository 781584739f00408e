pub mod domain;
pub mod vector;
