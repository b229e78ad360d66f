//! The tests behind `is`: `event.subject is defined`, `event.count is number`.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::budget::Budget;
use super::eval::is_null;
use super::node::Cmp;
use super::ops;

/// One test.
#[derive(Debug)]
pub(super) struct Test {
    kind: Kind,
    /// Whether a value follows: `is startingwith 'Re:'`.
    pub takes_other: bool,
    /// Whether the operand may be missing.
    pub sees_missing: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Defined,
    Undefined,
    None,
    Truth,
    Number,
    Integer,
    Text,
    List,
    Object,
    True,
    False,
    Odd,
    Even,
    Empty,
    Starting,
    Ending,
    Containing,
    Cmp(Cmp),
}

/// Every name, in the order of the table.
pub const NAMES: &[&str] = &[
    "defined",
    "undefined",
    "none",
    "boolean",
    "number",
    "integer",
    "string",
    "sequence",
    "mapping",
    "true",
    "false",
    "odd",
    "even",
    "empty",
    "startingwith",
    "endingwith",
    "containing",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "in",
];

const fn plain(kind: Kind) -> Test {
    Test { kind, takes_other: false, sees_missing: false }
}

const fn missing(kind: Kind) -> Test {
    Test { kind, takes_other: false, sees_missing: true }
}

const fn other(kind: Kind) -> Test {
    Test { kind, takes_other: true, sees_missing: false }
}

static TESTS: [Test; 24] = [
    missing(Kind::Defined),
    missing(Kind::Undefined),
    missing(Kind::None),
    plain(Kind::Truth),
    plain(Kind::Number),
    plain(Kind::Integer),
    plain(Kind::Text),
    plain(Kind::List),
    plain(Kind::Object),
    plain(Kind::True),
    plain(Kind::False),
    plain(Kind::Odd),
    plain(Kind::Even),
    missing(Kind::Empty),
    other(Kind::Starting),
    other(Kind::Ending),
    other(Kind::Containing),
    other(Kind::Cmp(Cmp::Eq)),
    other(Kind::Cmp(Cmp::Ne)),
    other(Kind::Cmp(Cmp::Lt)),
    other(Kind::Cmp(Cmp::Le)),
    other(Kind::Cmp(Cmp::Gt)),
    other(Kind::Cmp(Cmp::Ge)),
    other(Kind::Cmp(Cmp::In)),
];

/// The test called `name`.
pub(super) fn find(name: &str) -> Option<&'static Test> {
    NAMES.iter().position(|known| *known == name).and_then(|place| TESTS.get(place))
}

impl Test {
    /// Whether `value` passes; `other` is what follows the test's name.
    pub fn holds(&self, value: &Value, other: &Value, budget: &mut Budget) -> Result<bool, String> {
        budget.read(value)?;
        budget.read(other)?;
        let texts = || value.as_str().zip(other.as_str());
        Ok(match self.kind {
            Kind::Defined => !value.is_undefined(),
            Kind::Undefined => value.is_undefined(),
            Kind::None => is_null(value),
            Kind::Truth => value.kind() == ValueKind::Bool,
            Kind::Number => value.is_number(),
            Kind::Integer => value.is_integer(),
            Kind::Text => value.kind() == ValueKind::String,
            Kind::List => ops::is_list(value),
            Kind::Object => value.kind() == ValueKind::Map,
            Kind::True => value.is_true(),
            Kind::False => !value.is_true(),
            Kind::Odd => value.as_i64().is_some_and(|n| n % 2 != 0),
            Kind::Even => value.as_i64().is_some_and(|n| n % 2 == 0),
            Kind::Empty => is_null(value) || value.len() == Some(0),
            Kind::Starting => texts().is_some_and(|(text, part)| text.starts_with(part)),
            Kind::Ending => texts().is_some_and(|(text, part)| text.ends_with(part)),
            Kind::Containing => ops::compare(Cmp::In, other, value, budget)?,
            Kind::Cmp(cmp) => ops::compare(cmp, value, other, budget)?,
        })
    }
}
