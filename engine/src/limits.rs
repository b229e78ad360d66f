//! Every limit has a name and a default (law 6).

use std::time::Duration;

/// Characters of an AREA's name.
pub const AREA_NAME_CHARS: usize = 200;
/// Bytes of an AREA as JSON text, secrets in the clear.
pub const AREA_BYTES: usize = 256 * 1024;
/// Steps of an AREA.
pub const AREA_STEPS: usize = 32;
/// Characters of a step's id.
pub const STEP_ID_CHARS: usize = 40;
/// The longest interval that an AREA may ask for.
pub const EVERY_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// How deep a schema is followed into a value: what nests deeper is not looked at for defaults and marks.
pub const SCHEMA_DEPTH: usize = 64;
/// Items of a list when `limit` is absent.
pub const LIST_DEFAULT: i64 = 50;
/// Items of a list at most.
pub const LIST_MAX: i64 = 500;
/// How often a change of an AREA is decided again because the row moved meanwhile, or the database asked for it.
pub const CHANGE_TRIES: u32 = 5;
