//! Operators on values, each charged before it works. Arithmetic on numbers is minijinja's own, on guarded operands.

use std::sync::LazyLock;

use minijinja::value::ValueKind;
use minijinja::{Environment, Expression, Value, context};

use super::budget::{Budget, said};
use super::eval::is_null;
use super::node::{Cmp, Math};
use super::output;

/// minijinja, for its arithmetic alone: no filter, no test, no global.
static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(Environment::empty);

type Arithmetic = Result<Expression<'static, 'static>, minijinja::Error>;
static ADD: LazyLock<Arithmetic> = LazyLock::new(|| PLAIN.compile_expression("a + b"));
static SUB: LazyLock<Arithmetic> = LazyLock::new(|| PLAIN.compile_expression("a - b"));
static MUL: LazyLock<Arithmetic> = LazyLock::new(|| PLAIN.compile_expression("a * b"));
static DIV: LazyLock<Arithmetic> = LazyLock::new(|| PLAIN.compile_expression("a / b"));
static FLOOR_DIV: LazyLock<Arithmetic> = LazyLock::new(|| PLAIN.compile_expression("a // b"));
static REM: LazyLock<Arithmetic> = LazyLock::new(|| PLAIN.compile_expression("a % b"));
static POW: LazyLock<Arithmetic> = LazyLock::new(|| PLAIN.compile_expression("a ** b"));

/// `left op right`.
pub(super) fn math(op: Math, left: &Value, right: &Value, budget: &mut Budget) -> Result<Value, String> {
    let (numbers, lists) = (left.is_number() && right.is_number(), is_list(left) && is_list(right));
    match op {
        Math::Concat => concat(left, right, budget),
        _ if numbers => arithmetic(op, left, right),
        Math::Add if lists => {
            budget.list(left.len().unwrap_or(0).saturating_add(right.len().unwrap_or(0)))?;
            let items = left.try_iter().map_err(said)?.chain(right.try_iter().map_err(said)?);
            Ok(Value::from(items.collect::<Vec<_>>()))
        }
        Math::Add if left.as_str().is_some() && right.as_str().is_some() => concat(left, right, budget),
        Math::Mul if left.is_number() => repeat(right, left, budget),
        Math::Mul if right.is_number() => repeat(left, right, budget),
        _ => Err(unfit(op, left, right)),
    }
}

fn arithmetic(op: Math, left: &Value, right: &Value) -> Result<Value, String> {
    let expression = match op {
        Math::Add => &*ADD,
        Math::Sub => &*SUB,
        Math::Mul => &*MUL,
        Math::Div => &*DIV,
        Math::FloorDiv => &*FLOOR_DIV,
        Math::Rem => &*REM,
        Math::Pow => &*POW,
        Math::Concat => return Err(unfit(op, left, right)),
    };
    let expression = expression.as_ref().map_err(|e| e.to_string())?;
    let value = expression.eval(context! { a => left, b => right }).map_err(said)?;
    match f64::try_from(value.clone()) {
        Ok(number) if !number.is_finite() => Err("the result is too large for a number".to_owned()),
        _ => Ok(value),
    }
}

fn concat(left: &Value, right: &Value, budget: &mut Budget) -> Result<Value, String> {
    let (left, right) = (output::text(left, budget)?, output::text(right, budget)?);
    budget.text(left.len().saturating_add(right.len()))?;
    Ok(Value::from([&*left, &*right].concat()))
}

/// A text or list `times` over.
fn repeat(value: &Value, times: &Value, budget: &mut Budget) -> Result<Value, String> {
    let Some(count) = times.as_usize() else {
        return Err(unfit(Math::Mul, value, times));
    };
    if let Some(text) = value.as_str() {
        budget.text(text.len().saturating_mul(count))?;
        return Ok(Value::from(text.repeat(count)));
    }
    if !is_list(value) {
        return Err(unfit(Math::Mul, value, times));
    }
    let items: Vec<Value> = value.try_iter().map_err(said)?.collect();
    budget.list(items.len().saturating_mul(count))?;
    Ok(Value::from(std::iter::repeat_n(items, count).flatten().collect::<Vec<_>>()))
}

pub(super) fn negate(value: &Value) -> Result<Value, String> {
    if !value.is_number() {
        return Err(format!("`-` needs a number after it, not {}", a(value)));
    }
    arithmetic(Math::Sub, &Value::from(0), value)
}

/// `left op right`. Ordering against null is false; between kinds that have no order, an error.
pub(super) fn compare(op: Cmp, left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, String> {
    budget.read(left)?;
    budget.read(right)?;
    let equal = || (is_null(left) && is_null(right)) || left == right;
    Ok(match op {
        Cmp::Eq => equal(),
        Cmp::Ne => !equal(),
        Cmp::In => contains(right, left)?,
        Cmp::NotIn => !contains(right, left)?,
        _ if is_null(left) || is_null(right) => false,
        Cmp::Lt => order(left, right)?.is_lt(),
        Cmp::Le => order(left, right)?.is_le(),
        Cmp::Gt => order(left, right)?.is_gt(),
        Cmp::Ge => order(left, right)?.is_ge(),
    })
}

fn order(left: &Value, right: &Value) -> Result<std::cmp::Ordering, String> {
    if left.kind() != right.kind() {
        let cure = if left.is_number() || right.is_number() { ": use `|float` or `|int`" } else { "" };
        return Err(format!("{} and {} have no order{cure}", a(left), a(right)));
    }
    Ok(left.cmp(right))
}

fn contains(place: &Value, value: &Value) -> Result<bool, String> {
    match place.kind() {
        ValueKind::None | ValueKind::Undefined => Ok(false),
        ValueKind::String => match (place.as_str(), value.as_str()) {
            (Some(place), Some(part)) => Ok(place.contains(part)),
            _ if is_null(value) => Ok(false),
            _ => Err(format!("only a text can be `in` a text, not {}", a(value))),
        },
        ValueKind::Seq | ValueKind::Iterable => Ok(place.try_iter().map_err(said)?.any(|item| item == *value)),
        ValueKind::Map => Ok(value.as_str().is_some_and(|key| place.get_attr(key).is_ok_and(|v| !v.is_undefined()))),
        _ => Err(format!("nothing can be `in` {}", a(place))),
    }
}

/// `value[start:stop:step]`; a negative bound counts from the end, the step is positive.
pub(super) fn slice(
    value: &Value,
    [start, stop, step]: [Option<i64>; 3],
    budget: &mut Budget,
) -> Result<Value, String> {
    if is_null(value) {
        return Ok(Value::from(()));
    }
    let step = step.map_or(Ok(1), usize::try_from).ok().filter(|step| *step > 0);
    let step =
        step.ok_or_else(|| "the step of a slice must be 1 or more (`|reverse` turns a list round)".to_owned())?;
    budget.read(value)?;
    if let Some(text) = value.as_str() {
        let (from, to) = bounds(text.chars().count(), start, stop);
        return Ok(Value::from(text.chars().take(to).skip(from).step_by(step).collect::<String>()));
    }
    if !is_list(value) {
        return Err(format!("a text or a list can be sliced, not {}", a(value)));
    }
    let (from, to) = bounds(value.len().unwrap_or(0), start, stop);
    let items: Vec<Value> = value.try_iter().map_err(said)?.take(to).skip(from).step_by(step).collect();
    budget.list(items.len())?;
    Ok(Value::from(items))
}

fn bounds(length: usize, start: Option<i64>, stop: Option<i64>) -> (usize, usize) {
    let place = |bound: i64| match usize::try_from(bound) {
        Ok(bound) => bound.min(length),
        Err(_) => length.saturating_sub(usize::try_from(bound.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    (start.map_or(0, place), stop.map_or(length, place))
}

/// `range(stop)` or `range(start, stop, step)`.
pub(super) fn range([first, second, step]: [Option<i64>; 3], budget: &mut Budget) -> Result<Value, String> {
    let (start, stop) = match (first, second) {
        (Some(start), Some(stop)) => (start, stop),
        (first, _) => (0, first.unwrap_or(0)),
    };
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err("the step of a range cannot be 0".to_owned());
    }
    let distance = i128::from(stop) - i128::from(start);
    let count = if (distance > 0) == (step > 0) {
        distance.unsigned_abs().div_ceil(u128::from(step.unsigned_abs()))
    } else {
        0
    };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    budget.list(usize::try_from(count).unwrap_or(usize::MAX))?;
    Ok(Value::from((0..count).map(|n| Value::from(start.saturating_add(n.saturating_mul(step)))).collect::<Vec<_>>()))
}

pub(super) fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn unfit(op: Math, left: &Value, right: &Value) -> String {
    let sign = match op {
        Math::Add => "+",
        Math::Sub => "-",
        Math::Mul => "*",
        Math::Div => "/",
        Math::FloorDiv => "//",
        Math::Rem => "%",
        Math::Pow => "**",
        Math::Concat => "~",
    };
    format!("`{sign}` cannot join {} and {}", a(left), a(right))
}

/// `a text`, `a number`, `null`: what a value is, in the user's words.
pub(super) fn a(value: &Value) -> String {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => "null".to_owned(),
        ValueKind::Map => "an object".to_owned(),
        kind => format!("a {}", named(kind)),
    }
}

pub(super) fn named(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Undefined | ValueKind::None => "null",
        ValueKind::Bool => "truth value",
        ValueKind::Number => "number",
        ValueKind::String => "text",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "object",
        _ => "value",
    }
}
