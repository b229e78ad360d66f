//! The filters, written out in tables: name, parameters, what it does. Names and arguments are checked at compile time; a
//! call charges for reading its value and arguments before it works, and for what it makes.

mod list;
mod number;
mod pattern;
mod strip;
mod text;
mod time;
mod web;

use std::borrow::Cow;

use minijinja::Value;

use super::budget::{Budget, said};
use super::eval::is_null;
use super::{ops, output};

/// One filter.
#[derive(Debug)]
pub(super) struct Filter {
    pub name: &'static str,
    /// Parameters after the value, in order; the first `required` must be given.
    pub params: &'static [&'static str],
    pub required: usize,
    /// Null is handed to it instead of being handed on.
    pub sees_null: bool,
    /// Its value may be missing at any depth.
    pub sees_missing: bool,
    help: &'static str,
    run: fn(&mut Call<'_>) -> Result<Value, String>,
}

type Run = fn(&mut Call<'_>) -> Result<Value, String>;

const fn filter(
    name: &'static str,
    params: &'static [&'static str],
    required: usize,
    run: Run,
    help: &'static str,
) -> Filter {
    Filter { name, params, required, sees_null: false, sees_missing: false, help, run }
}

impl Filter {
    const fn seeing_null(self) -> Self {
        Self { sees_null: true, ..self }
    }

    const fn seeing_missing(self) -> Self {
        Self { sees_null: true, sees_missing: true, ..self }
    }
}

static TABLES: [&[Filter]; 6] =
    [&text::FILTERS, &number::FILTERS, &list::FILTERS, &time::FILTERS, &pattern::FILTERS, &web::FILTERS];

fn all() -> impl Iterator<Item = &'static Filter> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The filter called `name`.
pub(super) fn find(name: &str) -> Option<&'static Filter> {
    all().find(|filter| filter.name == name)
}

/// Every name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|filter| filter.name)
}

/// What the documentation says of one filter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FilterDoc {
    /// `truncate`.
    pub name: &'static str,
    /// `|truncate(length, end?)`.
    pub usage: String,
    /// One sentence.
    pub help: &'static str,
}

/// Every filter, in the order of the tables.
pub fn docs() -> Vec<FilterDoc> {
    all()
        .map(|filter| {
            let mark = |(n, param): (usize, &&str)| {
                if n < filter.required { (*param).to_owned() } else { format!("{param}?") }
            };
            let params: Vec<String> = filter.params.iter().enumerate().map(mark).collect();
            let params = if params.is_empty() { String::new() } else { format!("({})", params.join(", ")) };
            FilterDoc { name: filter.name, usage: format!("|{}{params}", filter.name), help: filter.help }
        })
        .collect()
}

/// One use of a filter.
pub(super) struct Call<'b> {
    pub filter: &'static Filter,
    pub value: Value,
    /// As many as the filter has parameters; `None` where nothing was given.
    pub args: Vec<Option<Value>>,
    pub budget: &'b mut Budget,
}

impl Call<'_> {
    /// Charges and runs.
    pub fn run(mut self) -> Result<Value, String> {
        self.budget.read(&self.value)?;
        for arg in self.args.iter().flatten() {
            self.budget.read(arg)?;
        }
        (self.filter.run)(&mut self)
    }

    /// The value as text: numbers and truth values as they are printed.
    fn text(&self) -> Result<Cow<'static, str>, String> {
        self.scalar(&self.value, "")
    }

    fn scalar(&self, value: &Value, place: &str) -> Result<Cow<'static, str>, String> {
        if let Some(text) = value.to_str() {
            return Ok(Cow::Owned(text.as_ref().to_owned()));
        }
        if value.is_number() || value.kind() == minijinja::value::ValueKind::Bool {
            return Ok(Cow::Owned(output::text(value, &mut Budget::new())?.into_owned()));
        }
        Err(format!("`{}` needs a text{place}, not {}", self.filter.name, ops::a(value)))
    }

    /// Makes a text.
    fn made(&mut self, text: impl Into<String>) -> Result<Value, String> {
        let text = text.into();
        self.budget.text(text.len())?;
        Ok(Value::from(text))
    }

    /// Makes a list.
    fn made_list(&mut self, items: Vec<Value>) -> Result<Value, String> {
        self.budget.list(items.len())?;
        Ok(Value::from(items))
    }

    fn number(&self) -> Result<f64, String> {
        f64::try_from(self.value.clone())
            .ok()
            .filter(|_| self.value.is_number())
            .ok_or_else(|| format!("`{}` needs a number, not {}", self.filter.name, ops::a(&self.value)))
    }

    /// The items of a list, or the keys of an object.
    fn items(&self) -> Result<Vec<Value>, String> {
        if !ops::is_list(&self.value) && self.value.kind() != minijinja::value::ValueKind::Map {
            return Err(format!("`{}` needs a list, not {}", self.filter.name, ops::a(&self.value)));
        }
        Ok(self.value.try_iter().map_err(said)?.collect())
    }

    fn arg(&self, place: usize) -> Option<&Value> {
        self.args.get(place).and_then(Option::as_ref).filter(|value| !is_null(value))
    }

    fn place(&self, place: usize) -> String {
        format!(" for `{}`", self.filter.params.get(place).unwrap_or(&"its argument"))
    }

    fn arg_text(&self, place: usize) -> Result<Option<Cow<'static, str>>, String> {
        self.arg(place).map(|value| self.scalar(value, &self.place(place))).transpose()
    }

    /// A text that must be given; null is refused.
    fn need_text(&self, place: usize) -> Result<Cow<'static, str>, String> {
        self.arg_text(place)?
            .ok_or_else(|| format!("`{}` needs a text{}, not null", self.filter.name, self.place(place)))
    }

    fn arg_whole(&self, place: usize) -> Result<Option<i64>, String> {
        self.arg(place)
            .map(|value| {
                value.as_i64().ok_or_else(|| {
                    format!("`{}` needs a whole number{}, not {}", self.filter.name, self.place(place), ops::a(value))
                })
            })
            .transpose()
    }

    fn arg_true(&self, place: usize) -> bool {
        self.arg(place).is_some_and(Value::is_true)
    }
}
