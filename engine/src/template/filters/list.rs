//! Filters on lists and objects.

use std::collections::BTreeSet;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::{Call, Filter, filter, find};
use crate::template::budget::said;
use crate::template::eval::{attribute, is_null};
use crate::template::node::Math;
use crate::template::trouble::hint;
use crate::template::{ops, output, tests_of_values};

pub(super) static FILTERS: [Filter; 22] = [
    filter("length", &[], 0, length, "Characters of a text, items of a list, keys of an object."),
    filter("count", &[], 0, length, "The same as `length`."),
    filter("first", &[], 0, |c| end(c, true), "The first item or character; null if there is none."),
    filter("last", &[], 0, |c| end(c, false), "The last item or character; null if there is none."),
    filter(
        "join",
        &["separator", "attribute"],
        0,
        join,
        "The items (or their `attribute`) as one text, with `separator` between them.",
    ),
    filter(
        "map",
        &["filter", "a", "b", "attribute"],
        0,
        map,
        "Each item through `filter` (`map('upper')`), or its attribute (`map(attribute='name')`).",
    ),
    filter(
        "select",
        &["test", "other"],
        0,
        |c| chosen(c, None, true),
        "The items that pass `test` (`select('gt', 3)`), or that are true.",
    ),
    filter("reject", &["test", "other"], 0, |c| chosen(c, None, false), "The items that `select` would leave."),
    filter(
        "selectattr",
        &["attribute", "test", "other"],
        1,
        |c| chosen_by_attribute(c, true),
        "The items whose attribute passes `test` (`selectattr('done', 'eq', false)`), or is true.",
    ),
    filter(
        "rejectattr",
        &["attribute", "test", "other"],
        1,
        |c| chosen_by_attribute(c, false),
        "The items that `selectattr` would leave.",
    ),
    filter(
        "sort",
        &["attribute", "reverse"],
        0,
        sort,
        "In order, by the items or their `attribute`; with `reverse` the other way round.",
    ),
    filter("unique", &["attribute"], 0, unique, "Without repetitions, the first of each kept."),
    filter("reverse", &[], 0, reverse, "A list or text the other way round."),
    filter("sum", &["attribute"], 0, sum, "The numbers, or the items' numeric attribute, added up."),
    filter("min", &["attribute"], 0, |c| extreme(c, false), "The smallest item; null if there is none."),
    filter("max", &["attribute"], 0, |c| extreme(c, true), "The largest item; null if there is none."),
    filter("keys", &[], 0, |c| pairs(c, |key, _| key), "The keys of an object."),
    filter("values", &[], 0, |c| pairs(c, |_, value| value), "The values of an object."),
    filter(
        "items",
        &[],
        0,
        |c| pairs(c, |key, value| Value::from(vec![key, value])),
        "An object as a list of [key, value].",
    ),
    filter("batch", &["size"], 1, batch, "Lists of `size` items each: for reactions that take several at once."),
    filter("list", &[], 0, list, "A text as a list of its characters, an object as a list of its keys."),
    filter("attr", &["name"], 1, attr, "The member called `name`; `a.b.0` goes deeper; null if there is none."),
];

fn length(call: &mut Call<'_>) -> Result<Value, String> {
    let length = match call.value.as_str() {
        Some(text) => text.chars().count(),
        None => call.value.len().ok_or_else(|| {
            format!("`{}` needs a text, a list or an object, not {}", call.filter.name, ops::a(&call.value))
        })?,
    };
    Ok(Value::from(length))
}

fn end(call: &mut Call<'_>, first: bool) -> Result<Value, String> {
    if let Some(text) = call.value.as_str() {
        let c = if first { text.chars().next() } else { text.chars().next_back() };
        return Ok(c.map_or_else(|| Value::from(()), |c| Value::from(c.to_string())));
    }
    let items = call.items()?;
    Ok(if first { items.first() } else { items.last() }.cloned().unwrap_or_else(|| Value::from(())))
}

/// The items, or the attribute named by argument `place` of each.
fn keys(call: &Call<'_>, place: usize) -> Result<Vec<Value>, String> {
    let items = call.items()?;
    Ok(match call.arg_text(place)? {
        Some(path) => items.iter().map(|item| attribute(item, &path)).collect(),
        None => items,
    })
}

fn join(call: &mut Call<'_>) -> Result<Value, String> {
    let items = keys(call, 1)?;
    let separator = call.arg_text(0)?.unwrap_or_default();
    let mut text = String::new();
    for (n, item) in items.iter().enumerate() {
        let part = output::text(item, call.budget)?;
        let between = if n > 0 { &*separator } else { "" };
        call.budget.grow(text.len(), between.len().saturating_add(part.len()))?;
        text.push_str(between);
        text.push_str(&part);
    }
    Ok(Value::from(text))
}

fn map(call: &mut Call<'_>) -> Result<Value, String> {
    let (name, path) = (call.arg_text(0)?, call.arg_text(3)?);
    let items = call.items()?;
    let made = match (name, path) {
        (None, Some(path)) => items.iter().map(|item| attribute(item, &path)).collect(),
        (Some(name), None) => {
            let near = || hint(&name, super::names());
            let inner = find(&name).ok_or_else(|| format!("there is no filter `{name}`{}", near()))?;
            let given: Vec<Option<Value>> = call.args[1..3].to_vec();
            let slots = inner.params.len();
            if inner.required > given.iter().flatten().count() || given.iter().skip(slots).any(Option::is_some) {
                return Err(format!("`map` cannot give `{name}` the arguments that it needs"));
            }
            let args: Vec<Option<Value>> = given.into_iter().chain(std::iter::repeat(None)).take(slots).collect();
            let apply = |item: &Value| {
                call.budget.step()?;
                if is_null(item) && !inner.sees_null {
                    return Ok(Value::from(()));
                }
                Call { filter: inner, value: item.clone(), args: args.clone(), budget: call.budget }.run()
            };
            items.iter().map(apply).collect::<Result<Vec<_>, String>>()?
        }
        _ => return Err("`map` needs either a filter's name or `attribute=`".to_owned()),
    };
    call.made_list(made)
}

fn chosen_by_attribute(call: &mut Call<'_>, keep: bool) -> Result<Value, String> {
    let path = call.need_text(0)?;
    chosen(call, Some(&path), keep)
}

fn chosen(call: &mut Call<'_>, path: Option<&str>, keep: bool) -> Result<Value, String> {
    let place = usize::from(path.is_some());
    let test = match call.arg_text(place)? {
        Some(name) => Some(tests_of_values::find(&name).ok_or_else(|| {
            format!("there is no test `{name}`{}", hint(&name, tests_of_values::NAMES.iter().copied()))
        })?),
        None => None,
    };
    let other = call.args.get(place + 1).cloned().flatten().unwrap_or_default();
    let mut kept = Vec::new();
    for item in call.items()? {
        call.budget.step()?;
        let value = path.map_or_else(|| item.clone(), |path| attribute(&item, path));
        let passes = test.map_or_else(|| Ok(value.is_true()), |test| test.holds(&value, &other, call.budget))?;
        if passes == keep {
            kept.push(item);
        }
    }
    call.made_list(kept)
}

/// Charges for putting the whole value in order.
fn charge_order(call: &mut Call<'_>, items: usize) -> Result<(), String> {
    for _ in 0..items.checked_ilog2().unwrap_or(0) {
        call.budget.read(&call.value)?;
    }
    Ok(())
}

fn sort(call: &mut Call<'_>) -> Result<Value, String> {
    let mut items: Vec<(Value, Value)> = keys(call, 0)?.into_iter().zip(call.items()?).collect();
    charge_order(call, items.len())?;
    let down = call.arg_true(1);
    items.sort_by(|a, b| if down { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) });
    call.made_list(items.into_iter().map(|(_, item)| item).collect())
}

fn unique(call: &mut Call<'_>) -> Result<Value, String> {
    let (keys, items) = (keys(call, 0)?, call.items()?);
    charge_order(call, items.len())?;
    let mut seen = BTreeSet::new();
    call.made_list(
        keys.into_iter().zip(items).filter(|(key, _)| seen.insert(key.clone())).map(|(_, item)| item).collect(),
    )
}

fn reverse(call: &mut Call<'_>) -> Result<Value, String> {
    if let Some(text) = call.value.to_str() {
        return call.made(text.chars().rev().collect::<String>());
    }
    let mut items = call.items()?;
    items.reverse();
    call.made_list(items)
}

fn sum(call: &mut Call<'_>) -> Result<Value, String> {
    let mut total = Value::from(0);
    for number in keys(call, 0)?.iter().filter(|value| !is_null(value)) {
        if !number.is_number() {
            return Err(format!("`sum` adds numbers, not {}", ops::a(number)));
        }
        call.budget.step()?;
        total = ops::math(Math::Add, &total, number, call.budget)?;
    }
    Ok(total)
}

fn extreme(call: &mut Call<'_>, largest: bool) -> Result<Value, String> {
    let ranked = keys(call, 0)?.into_iter().zip(call.items()?).filter(|(key, _)| !is_null(key));
    let found = if largest { ranked.max_by(|a, b| a.0.cmp(&b.0)) } else { ranked.min_by(|a, b| a.0.cmp(&b.0)) };
    Ok(found.map_or_else(|| Value::from(()), |(_, item)| item))
}

fn pairs(call: &mut Call<'_>, make: fn(Value, Value) -> Value) -> Result<Value, String> {
    if call.value.kind() != ValueKind::Map {
        return Err(format!("`{}` needs an object, not {}", call.filter.name, ops::a(&call.value)));
    }
    let mut made = Vec::new();
    for key in call.value.try_iter().map_err(said)? {
        let value = call.value.get_item(&key).map_err(said)?;
        made.push(make(key, value));
    }
    call.made_list(made)
}

fn batch(call: &mut Call<'_>) -> Result<Value, String> {
    let size = call.arg_whole(0)?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let size = size.ok_or_else(|| "`batch` needs a size of 1 or more".to_owned())?;
    let batches = call.items()?.chunks(size).map(|batch| Value::from(batch.to_vec())).collect();
    call.made_list(batches)
}

fn list(call: &mut Call<'_>) -> Result<Value, String> {
    match call.value.to_str() {
        Some(text) => {
            call.budget.list(text.chars().count())?;
            Ok(Value::from(text.chars().map(|c| Value::from(c.to_string())).collect::<Vec<_>>()))
        }
        None => {
            let items = call.items()?;
            call.made_list(items)
        }
    }
}

fn attr(call: &mut Call<'_>) -> Result<Value, String> {
    let path = call.need_text(0)?;
    Ok(attribute(&call.value, &path))
}
