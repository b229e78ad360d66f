//! Templates and conditions: one language, minijinja's expressions. No statements.
//!
//! What a user stores is parsed by minijinja, turned into a small tree (`node`) and evaluated here (`eval`), because
//! minijinja's own machine bounds instructions but not bytes: `'x' * 100000000` is one instruction. Here every operator and
//! filter is charged to one `Budget` before it works, so a hostile template ends in an error, soon and in little memory.
//!
//! - [`Mold`]: a JSON document whose strings hold `{{ expression }}`; rendered for one step of a run. *Strict*: a missing
//!   value is an error, because a request that lacks a word must not be sent.
//! - [`Condition`]: one expression that holds or not; a missing value is none, because most events lack something.
//! - [`Expr`]: one expression that gives a list, for `for_each`. Strict.
//!
//! The rules in short. A string that is exactly one `{{ expression }}` keeps the value's type; in longer text a null is
//! nothing, a list or object is JSON. Filters hand a null on unchanged, except those that are made for it (`default`,
//! `tojson`). Ordering (`<`, `>`) against a null is false. The operand of `default` and of `is defined` may be missing
//! at any depth. `{%` and `{#` are refused: `{{ '{%' }}` writes them.

mod budget;
mod condition;
mod eval;
mod filters;
mod lower;
mod mold;
mod node;
mod ops;
mod output;
mod parse;
mod scope;
mod tests_of_values;
mod trouble;

pub use budget::{EXPRESSION_TOKENS, FUEL, LIST_ITEMS, OUTPUT_BYTES, TEMPLATE_BYTES, VALUE_BYTES, WORK_BYTES};
pub use condition::{Condition, Expr, Judged};
pub use eval::unread;
pub use filters::{FilterDoc, docs as filter_docs};
pub use mold::{Mold, touches};
pub use scope::Scope;
pub use tests_of_values::NAMES as TEST_NAMES;

#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod hostile;
