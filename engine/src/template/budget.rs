//! What a template may cost. One [`Budget`] is spent per rendered document, judged condition or evaluated list.

use std::io;

use minijinja::Value;
use minijinja::value::ValueKind;

/// Bytes of one stored template string, condition or list expression.
pub const TEMPLATE_BYTES: usize = 64 * 1024;
/// Tokens between one `{{` and its `}}`, or in a condition.
pub const EXPRESSION_TOKENS: usize = 1000;
/// Brackets within brackets, and `not`, `-`, `else` in a row.
pub(super) const NESTING: usize = 24;
/// Operators, filters and lookups upon one another in one expression.
pub(super) const DEPTH: usize = 150;
/// Nodes evaluated for one document.
pub const FUEL: u32 = 50_000;
/// Bytes of one text that an expression makes.
pub const VALUE_BYTES: usize = 1024 * 1024;
/// Bytes of a rendered document.
pub const OUTPUT_BYTES: usize = 2 * 1024 * 1024;
/// Items of one list that an expression makes.
pub const LIST_ITEMS: usize = 10_000;
/// Bytes that operators and filters read and write for one document.
pub const WORK_BYTES: usize = 32 * 1024 * 1024;

/// What is left. Every charge is made before the work.
#[derive(Debug)]
pub(super) struct Budget {
    fuel: u32,
    work: usize,
    output: usize,
}

impl Budget {
    pub fn new() -> Self {
        Self { fuel: FUEL, work: WORK_BYTES, output: OUTPUT_BYTES }
    }

    /// One node.
    pub fn step(&mut self) -> Result<(), String> {
        self.fuel = self.fuel.checked_sub(1).ok_or_else(|| format!("more than {FUEL} steps are needed"))?;
        Ok(())
    }

    /// `bytes` are about to be read or written.
    pub fn work(&mut self, bytes: usize) -> Result<(), String> {
        match self.work.checked_sub(bytes) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => {
                self.work = 0;
                Err(format!("more than {WORK_BYTES} bytes would be read and written"))
            }
        }
    }

    /// A text of `bytes` is about to be made.
    pub fn text(&mut self, bytes: usize) -> Result<(), String> {
        self.grow(0, bytes)
    }

    /// A text of `now` bytes is about to get `more`.
    pub fn grow(&mut self, now: usize, more: usize) -> Result<(), String> {
        if now.saturating_add(more) > VALUE_BYTES {
            return Err(format!("a text would be longer than {VALUE_BYTES} bytes"));
        }
        self.work(more)
    }

    /// A list of `items` is about to be made.
    pub fn list(&mut self, items: usize) -> Result<(), String> {
        self.lengthen(0, items)
    }

    /// A list of `now` items is about to get `more`.
    pub fn lengthen(&mut self, now: usize, more: usize) -> Result<(), String> {
        if now.saturating_add(more) > LIST_ITEMS {
            return Err(format!("a list would have more than {LIST_ITEMS} items"));
        }
        self.work(more.saturating_mul(size_of::<Value>()))
    }

    /// `bytes` are about to be added to the rendered document.
    pub fn output(&mut self, bytes: usize) -> Result<(), String> {
        self.output = self
            .output
            .checked_sub(bytes)
            .ok_or_else(|| format!("what is rendered would be longer than {OUTPUT_BYTES} bytes"))?;
        Ok(())
    }

    /// Charges for reading all of `value`.
    pub fn read(&mut self, value: &Value) -> Result<(), String> {
        self.work(1)?;
        match value.kind() {
            ValueKind::String => self.work(value.as_str().map_or(0, str::len)),
            ValueKind::Seq | ValueKind::Iterable => {
                value.try_iter().map_err(said)?.try_for_each(|item| self.read(&item))
            }
            ValueKind::Map => value.try_iter().map_err(said)?.try_for_each(|key| {
                self.read(&key)?;
                self.read(&value.get_item(&key).map_err(said)?)
            }),
            _ => Ok(()),
        }
    }
}

/// What a minijinja error says, without its kind and place.
pub(super) fn said(error: minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// A text that grows only as far as the budget allows; it says so as an error, never by stopping.
pub(super) struct Bounded<'b> {
    pub text: Vec<u8>,
    budget: &'b mut Budget,
    /// Why it stopped: `io::Error` cannot carry it through serializers unharmed.
    pub stopped: Option<String>,
}

impl<'b> Bounded<'b> {
    pub fn new(budget: &'b mut Budget) -> Self {
        Self { text: Vec::new(), budget, stopped: None }
    }

    pub fn push(&mut self, part: &str) -> Result<(), String> {
        self.budget.grow(self.text.len(), part.len())?;
        self.text.extend_from_slice(part.as_bytes());
        Ok(())
    }

    /// Refuses before something of at most `bytes` is made to be pushed.
    pub fn room(&mut self, bytes: usize) -> Result<(), String> {
        self.budget.grow(self.text.len(), bytes)
    }

    /// The text; only whole `str`s were pushed, and serializers write UTF-8.
    pub fn finish(self) -> Result<String, String> {
        match self.stopped {
            Some(why) => Err(why),
            None => String::from_utf8(self.text).map_err(|_| "the text is not UTF-8".to_owned()),
        }
    }
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        match self.budget.grow(self.text.len(), part.len()) {
            Ok(()) => {
                self.text.extend_from_slice(part);
                Ok(part.len())
            }
            Err(why) => {
                self.stopped = Some(why.clone());
                Err(io::Error::other(why))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
