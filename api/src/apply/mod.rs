//! AREAs in files: `read` turns JSON text into documents that know where they came from, `samples` loads the embedded examples.
//! What is done with documents is `engine::area::Desk`'s: `plan_apply`, then `carry_out`.

mod read;
pub mod samples;

pub use read::{FileDocument, ReadError, parse, read};
