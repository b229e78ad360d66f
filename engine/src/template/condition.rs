//! Expressions that stand alone: `when` (a [`Condition`]) and `for_each` (an [`Expr`]).

use std::collections::BTreeSet;

use serde_json::Value;

use super::budget::Budget;
use super::eval::{Eval, unread};
use super::mold::touches;
use super::node::Node;
use super::parse::expression;
use super::scope::Scope;
use super::trouble::{Located, Trouble};
use super::{ops, output};

/// Characters of one value that `why` shows.
const SHOWN: usize = 200;
/// Values that `why` shows of one condition.
const VALUES_SHOWN: usize = 20;

/// An expression that holds or does not. A missing value is none: `'x' in none` is false, `none > 1` is false.
#[derive(Debug)]
pub struct Condition {
    source: String,
    node: Node,
}

/// What a condition came to, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Whether it holds.
    pub holds: bool,
    /// The value of every variable that the condition mentions, in its order; long ones are cut, missing ones null.
    pub values: Vec<(String, Value)>,
}

impl Condition {
    /// Compiles `source`: an expression without `{{ }}`.
    ///
    /// # Errors
    /// One sentence with line and column.
    pub fn compile(source: &str) -> Result<Self, String> {
        compile(source).map(|(source, node)| Self { source, node })
    }

    /// Whether it holds for `scope`.
    ///
    /// # Errors
    /// One sentence with line and column: a text compared with a number, a filter that cannot read its value.
    pub fn judge(&self, scope: &Scope) -> Result<Judged, String> {
        // A missing value is none, but one that was not read may be anything.
        if let Some(name) = scope.unread().find(|name| touches(&self.paths(), &format!("event.{name}"))) {
            return Err(unread(name));
        }
        let holds = self.holds(scope).map_err(|trouble| trouble.tell(&self.source))?;
        Ok(Judged { holds, values: self.values(scope) })
    }

    /// The condition as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The variables that it mentions: `event.subject`.
    pub fn paths(&self) -> BTreeSet<String> {
        self.node.path_names()
    }

    fn holds(&self, scope: &Scope) -> Result<bool, Trouble> {
        Ok(Eval::lenient(scope, &mut Budget::new()).eval(&self.node)?.is_true())
    }

    /// The values of the variables; also for a condition that could not be judged.
    pub fn values(&self, scope: &Scope) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        self.node.paths(&mut found);
        let mut budget = Budget::new();
        found
            .into_iter()
            .take(VALUES_SHOWN)
            .map(|(path, node)| {
                let value = Eval::lenient(scope, &mut budget).eval(node).unwrap_or_default();
                (path, cut(output::json(&value, &mut budget).unwrap_or_else(Value::String)))
            })
            .collect()
    }
}

/// `value`, or the beginning of its text where it is long.
fn cut(value: Value) -> Value {
    let whole = match &value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
        _ => return value,
    };
    match whole.char_indices().nth(SHOWN) {
        Some((end, _)) => Value::String(format!("{}…", &whole[..end])),
        None => value,
    }
}

/// An expression that gives a list: `for_each`. A missing value is an error.
#[derive(Debug)]
pub struct Expr {
    source: String,
    node: Node,
}

impl Expr {
    /// Compiles `source`: an expression without `{{ }}`.
    ///
    /// # Errors
    /// One sentence with line and column.
    pub fn compile(source: &str) -> Result<Self, String> {
        compile(source).map(|(source, node)| Self { source, node })
    }

    /// The list that it gives for `scope`; null is an empty list.
    ///
    /// # Errors
    /// One sentence: a missing value, something that is no list, more than `max` items.
    pub fn list(&self, scope: &Scope, max: usize) -> Result<Vec<Value>, String> {
        self.evaluate(scope, max).map_err(|trouble| trouble.tell(&self.source))
    }

    /// The variables that it mentions.
    pub fn paths(&self) -> BTreeSet<String> {
        self.node.path_names()
    }

    fn evaluate(&self, scope: &Scope, max: usize) -> Result<Vec<Value>, Trouble> {
        let mut budget = Budget::new();
        let value = Eval::strict(scope, &mut budget).eval(&self.node)?;
        match output::json(&value, &mut budget).at(self.node.at)? {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) if items.len() <= max => Ok(items),
            Value::Array(items) => {
                Err(Trouble::new(0, format!("the list has {} items, at most {max} are allowed", items.len())))
            }
            _ => Err(Trouble::new(0, format!("a list is needed here, not {}", ops::a(&value)))),
        }
    }
}

fn compile(source: &str) -> Result<(String, Node), String> {
    let node = expression(source).map_err(|trouble| trouble.tell(source))?;
    Ok((source.to_owned(), node))
}
