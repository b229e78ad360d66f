//! The database: one of two engines behind one type. SQL is a constant beside the function that runs it and the same text on
//! both; what must differ stands in `batch`.

pub mod accounts;
pub mod areas;
pub mod arrivals;
pub mod audit;
pub mod batch;
pub mod connect;
pub mod credentials;
pub mod db;
pub mod idempotency;
pub mod leaving;
pub mod letters;
pub mod links;
pub mod meta;
pub mod migrate;
pub mod pauses;
pub mod pending;
pub mod people;
pub mod profile;
pub mod restored;
pub mod retention;
pub mod revisions;
pub mod sessions;
pub mod sources;
pub mod tokens;
pub mod work;

pub use db::{Db, DbConfig, StoreError};
