//! What was looked at, and how it stands.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    Warning,
    Wrong,
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub what: &'static str,
    pub state: State,
    pub said: String,
}

#[derive(Debug, Default)]
pub(super) struct Findings(pub Vec<Finding>);

impl Findings {
    pub fn ok(&mut self, what: &'static str, said: impl Into<String>) {
        self.0.push(Finding { what, state: State::Ok, said: said.into() });
    }

    pub fn warning(&mut self, what: &'static str, said: impl Into<String>) {
        self.0.push(Finding { what, state: State::Warning, said: said.into() });
    }

    pub fn wrong(&mut self, what: &'static str, said: impl Into<String>) {
        self.0.push(Finding { what, state: State::Wrong, said: said.into() });
    }
}
