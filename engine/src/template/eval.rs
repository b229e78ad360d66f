//! The evaluator: one node at a time, each charged to the budget before it works.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::budget::{Budget, said};
use super::filters::{Call, Filter};
use super::node::{Kind, Node};
use super::ops;
use super::scope::Scope;
use super::trouble::{Located, Trouble, hint};

type Evaluated = Result<Value, Trouble>;

/// The keys looked at for a near match, when one is missing.
const KEYS_FOR_HINT: usize = 200;

pub(super) struct Eval<'e> {
    scope: &'e Scope,
    budget: &'e mut Budget,
    /// A missing value is none instead of an error.
    lenient: bool,
}

impl<'e> Eval<'e> {
    /// A missing value is an error.
    pub fn strict(scope: &'e Scope, budget: &'e mut Budget) -> Self {
        Self { scope, budget, lenient: false }
    }

    /// A missing value is none.
    pub fn lenient(scope: &'e Scope, budget: &'e mut Budget) -> Self {
        Self { scope, budget, lenient: true }
    }

    pub fn eval(&mut self, node: &Node) -> Evaluated {
        self.budget.step().at(node.at)?;
        match &node.kind {
            Kind::Const(value) => Ok(value.clone()),
            Kind::Var(name) => self.var(name, node.at),
            Kind::Attr(base, name) => {
                let key = Value::from(&**name);
                let value = self.eval(base)?;
                self.member(base, &value, &key, node.at)
            }
            Kind::Item(base, key) => {
                let value = self.eval(base)?;
                let at = key.at;
                let key = self.eval(key)?;
                self.member(base, &value, &key, at)
            }
            Kind::Slice(base, bounds) => {
                let value = self.eval(base)?;
                let mut given = [None; 3];
                for (given, bound) in given.iter_mut().zip(bounds) {
                    *given = bound.as_ref().map(|bound| self.whole_number(bound)).transpose()?;
                }
                ops::slice(&value, given, self.budget).at(node.at)
            }
            Kind::Not(inner) => Ok(Value::from(!self.eval(inner)?.is_true())),
            Kind::Neg(inner) => {
                let value = self.eval(inner)?;
                ops::negate(&value).at(node.at)
            }
            Kind::And(left, right) => {
                let value = self.eval(left)?;
                if value.is_true() { self.eval(right) } else { Ok(value) }
            }
            Kind::Or(left, right) => {
                let value = self.eval_lenient(left)?;
                if value.is_true() { Ok(value) } else { self.eval(right) }
            }
            Kind::Math(op, left, right) => {
                let (left, right) = (self.eval(left)?, self.eval(right)?);
                if self.lenient && *op != super::node::Math::Concat && (is_null(&left) || is_null(&right)) {
                    return Ok(Value::from(()));
                }
                ops::math(*op, &left, &right, self.budget).at(node.at)
            }
            Kind::Compare(first, rest) => self.compare(first, rest),
            Kind::If { test, then, otherwise } => {
                if self.eval(test)?.is_true() {
                    self.eval(then)
                } else {
                    otherwise.as_ref().map_or_else(|| Ok(Value::from(())), |node| self.eval(node))
                }
            }
            Kind::Filter(filter, value, args) => self.filter(filter, value, args, node.at),
            Kind::Test(test, value, other) => {
                let value = if test.sees_missing { self.eval_lenient(value)? } else { self.eval(value)? };
                let other = other.as_ref().map(|other| self.eval(other)).transpose()?.unwrap_or_default();
                test.holds(&value, &other, self.budget).map(Value::from).at(node.at)
            }
            Kind::Range(args) => self.range(args, node.at),
            Kind::List(items) => {
                self.budget.list(items.len()).at(node.at)?;
                items.iter().map(|item| self.eval(item)).collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            Kind::Map(pairs) => self.map(pairs),
        }
    }

    fn eval_lenient(&mut self, node: &Node) -> Evaluated {
        let before = std::mem::replace(&mut self.lenient, true);
        let value = self.eval(node);
        self.lenient = before;
        value
    }

    fn var(&self, name: &str, at: usize) -> Evaluated {
        match self.scope.root(name) {
            Some(value) => Ok(value),
            None if self.lenient => Ok(Value::UNDEFINED),
            None => Err(Trouble::new(at, format!("there is no `{name}` here: it exists only inside `for_each`"))),
        }
    }

    fn member(&self, base: &Node, value: &Value, key: &Value, at: usize) -> Evaluated {
        if !is_null(value) {
            let found = value.get_item(key).unwrap_or_default();
            if !found.is_undefined() {
                return Ok(found);
            }
        }
        if self.lenient {
            return Ok(Value::UNDEFINED);
        }
        if matches!(&base.kind, Kind::Var(name) if *name == "event")
            && let Some(name) = self.scope.unread().find(|name| key.as_str() == Some(name))
        {
            return Err(Trouble::new(at, unread(name)));
        }
        let place = base.path().map_or_else(|| "the value before it".to_owned(), |path| format!("`{path}`"));
        let key_shown: String = key.to_string().chars().take(60).collect();
        let more = match value.kind() {
            ValueKind::None | ValueKind::Undefined => ", which is null".to_owned(),
            ValueKind::Map => {
                let keys: Vec<Value> =
                    value.try_iter().map(|keys| keys.take(KEYS_FOR_HINT).collect()).unwrap_or_default();
                hint(&key_shown, keys.iter().filter_map(Value::as_str))
            }
            ValueKind::Seq => format!(", a list of {}", value.len().unwrap_or(0)),
            kind => format!(", a {}", ops::named(kind)),
        };
        Err(Trouble::new(at, format!("no `{key_shown}` in {place}{more}")))
    }

    fn compare(&mut self, first: &Node, rest: &[(super::node::Cmp, Node)]) -> Evaluated {
        let mut left = self.eval(first)?;
        for (op, operand) in rest {
            let right = self.eval(operand)?;
            if !ops::compare(*op, &left, &right, self.budget).at(operand.at)? {
                return Ok(Value::from(false));
            }
            left = right;
        }
        Ok(Value::from(true))
    }

    fn filter(&mut self, filter: &'static Filter, value: &Node, args: &[Option<Node>], at: usize) -> Evaluated {
        let value = if filter.sees_missing { self.eval_lenient(value)? } else { self.eval(value)? };
        if !filter.sees_null && is_null(&value) {
            return Ok(Value::from(()));
        }
        let args =
            args.iter().map(|arg| arg.as_ref().map(|arg| self.eval(arg)).transpose()).collect::<Result<Vec<_>, _>>()?;
        Call { filter, value, args, budget: self.budget }.run().at(at)
    }

    fn range(&mut self, args: &[Option<Node>], at: usize) -> Evaluated {
        let mut bounds = [None; 3];
        for (bound, arg) in bounds.iter_mut().zip(args) {
            *bound = arg.as_ref().map(|arg| self.whole_number(arg)).transpose()?;
        }
        ops::range(bounds, self.budget).at(at)
    }

    fn map(&mut self, pairs: &[(Node, Node)]) -> Evaluated {
        let mut made = std::collections::BTreeMap::new();
        for (key, value) in pairs {
            let name = self.eval(key)?;
            let name = name.as_str().ok_or_else(|| Trouble::new(key.at, "the keys of an object are texts"))?;
            made.insert(name.to_owned(), self.eval(value)?);
        }
        Ok(Value::from_pairs(made))
    }

    fn whole_number(&mut self, node: &Node) -> Result<i64, Trouble> {
        let value = self.eval(node)?;
        value
            .as_i64()
            .ok_or_else(|| Trouble::new(node.at, format!("a whole number is needed here, not {}", ops::a(&value))))
    }
}

/// What is said of a large field that was not read.
pub fn unread(name: &str) -> String {
    format!("the event has no `{name}`: it was read when no AREA used that, and what comes from now on has it")
}

/// Null or missing.
pub(super) fn is_null(value: &Value) -> bool {
    value.is_none() || value.is_undefined()
}

/// Looks up `a.b.0` in `value`; null where it leads nowhere.
pub(super) fn attribute(value: &Value, path: &str) -> Value {
    path.split('.').fold(value.clone(), |value, part| {
        if is_null(&value) {
            return Value::from(());
        }
        let key = part.parse::<i64>().map_or_else(|_| Value::from(part), Value::from);
        let found = value.get_item(&key).map_err(said).unwrap_or_default();
        if found.is_undefined() { value.get_item(&Value::from(part)).unwrap_or_default() } else { found }
    })
}
