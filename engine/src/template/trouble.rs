//! What is wrong and where: a byte offset into the source while it is evaluated, a line and a column for people.

/// An error at a place in a template's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Byte offset into the source.
    pub at: usize,
    /// What is wrong and, where it is known, what would be right.
    pub what: String,
}

impl Trouble {
    pub fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }

    /// `line 1, column 10: no `nam` in `event``; lines and columns (of characters) count from 1.
    pub fn tell(&self, source: &str) -> String {
        let before = source.get(..self.at.min(source.len())).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        format!("line {line}, column {column}: {}", self.what)
    }
}

/// Gives a message without a place its place.
pub(super) trait Located<T> {
    fn at(self, at: usize) -> Result<T, Trouble>;
}

impl<T> Located<T> for Result<T, String> {
    fn at(self, at: usize) -> Result<T, Trouble> {
        self.map_err(|what| Trouble { at, what })
    }
}

/// The nearest of `names` to `wrong`, if one is near enough to be meant.
pub(super) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const NEAR: f64 = 0.75;
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(near, _)| *near >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// ` (did you mean `name`?)`, or nothing.
pub(super) fn hint<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(wrong, names).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}
