//! Filters on numbers.

use minijinja::Value;

use super::{Call, Filter, filter};
use crate::template::ops;

/// Digits behind the point that can be asked for.
const MOST_DECIMALS: i64 = 20;

pub(super) static FILTERS: [Filter; 7] = [
    filter("int", &[], 0, int, "As a whole number: texts are read, fractions cut off."),
    filter("float", &[], 0, float, "As a number: texts are read."),
    filter("abs", &[], 0, abs, "Without its sign."),
    filter("round", &["decimals"], 0, round, "Rounded to `decimals` (default 0); half away from zero."),
    filter("floor", &[], 0, |c| whole(c.number()?.floor()), "The next whole number below."),
    filter("ceil", &[], 0, |c| whole(c.number()?.ceil()), "The next whole number above."),
    filter(
        "number",
        &["decimals", "group", "point"],
        0,
        format_number,
        "A number as text with that many decimals (default 0), `group` between thousands (default none) and `point` (default `.`).",
    ),
];

fn whole(number: f64) -> Result<Value, String> {
    // Every f64 inside these bounds is an i64.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        Ok(Value::from(number as i64))
    } else {
        Err("the number is too large for a whole number".to_owned())
    }
}

fn int(call: &mut Call<'_>) -> Result<Value, String> {
    if call.value.is_integer() {
        return Ok(call.value.clone());
    }
    if let Some(Ok(number)) = call.value.as_str().map(|text| text.trim().parse::<i64>()) {
        return Ok(Value::from(number));
    }
    let number = read(call)?;
    whole(number.trunc())
}

fn float(call: &mut Call<'_>) -> Result<Value, String> {
    read(call).map(Value::from)
}

/// The number that the value is or spells.
fn read(call: &Call<'_>) -> Result<f64, String> {
    if call.value.is_number() {
        return call.number();
    }
    if call.value.kind() == minijinja::value::ValueKind::Bool {
        return Ok(f64::from(u8::from(call.value.is_true())));
    }
    let Some(text) = call.value.as_str() else {
        return Err(format!("`{}` needs a number or a text, not {}", call.filter.name, ops::a(&call.value)));
    };
    let number: Option<f64> = text.trim().parse().ok();
    number.filter(|n| n.is_finite()).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        format!("`{shown}` is not a number")
    })
}

fn abs(call: &mut Call<'_>) -> Result<Value, String> {
    let number = call.number()?;
    match call.value.as_i64().and_then(i64::checked_abs) {
        Some(whole) if call.value.is_integer() => Ok(Value::from(whole)),
        _ => Ok(Value::from(number.abs())),
    }
}

fn decimals(call: &Call<'_>) -> Result<i64, String> {
    let decimals = call.arg_whole(0)?.unwrap_or(0);
    if (0..=MOST_DECIMALS).contains(&decimals) {
        Ok(decimals)
    } else {
        Err(format!("`{}` needs 0 to {MOST_DECIMALS} decimals", call.filter.name))
    }
}

/// Half away from zero, on the decimal that the number prints as: 1.005 is 1.01, as people expect.
fn rounded(number: f64, decimals: i64) -> f64 {
    let shifted = format!("{number:e}");
    let Some((digits, exponent)) = shifted.split_once('e') else { return number };
    let shift = |exponent: &str, by: i64| exponent.parse::<i64>().unwrap_or(0) + by;
    let scaled: f64 = format!("{digits}e{}", shift(exponent, decimals)).parse().unwrap_or(number);
    let back = format!("{:e}", scaled.round());
    match back.split_once('e') {
        Some((digits, exponent)) => format!("{digits}e{}", shift(exponent, -decimals)).parse().unwrap_or(number),
        None => number,
    }
}

fn round(call: &mut Call<'_>) -> Result<Value, String> {
    let (number, decimals) = (call.number()?, decimals(call)?);
    if call.value.is_integer() {
        return Ok(call.value.clone());
    }
    let number = rounded(number, decimals);
    if decimals == 0 { whole(number) } else { Ok(Value::from(number)) }
}

fn format_number(call: &mut Call<'_>) -> Result<Value, String> {
    let decimals = decimals(call)?;
    let (group, point) = (call.arg_text(1)?.unwrap_or_default(), call.arg_text(2)?.unwrap_or(".".into()));
    let printed = match i128::try_from(call.value.clone()) {
        Ok(whole) if call.value.is_integer() => {
            format!("{whole}.{}", "0".repeat(usize::try_from(decimals).unwrap_or(0)))
        }
        _ => {
            let places = usize::try_from(decimals).unwrap_or(0);
            let text = format!("{:.places$}", rounded(read(call)?, decimals));
            if places == 0 { text + "." } else { text }
        }
    };
    let (head, tail) = printed.split_once('.').unwrap_or((&printed, ""));
    let (sign, digits) = head.strip_prefix('-').map_or(("", head), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push_str(&group);
        }
        out.push(digit);
        call.budget.grow(out.len(), group.len())?;
    }
    if !tail.is_empty() {
        out.push_str(&point);
        out.push_str(tail);
    }
    call.made(out)
}
