//! What an API and a call are, as data, and a call with its values.

use bytes::Bytes;
use engine::fault::Fault;
use engine::net::{Answer, Call};
use http::Method;
use serde_json::Value;
use url::Url;

use super::batch::BatchSpec;
use super::judge::Said;

/// Bytes of an answer, unless a call says otherwise.
const BODY: usize = 4 << 20;

/// One API of a provider.
#[derive(Debug)]
pub struct ApiSpec {
    /// Its key among the provider's `apis`: `gmail`.
    pub name: &'static str,
    /// For people: `Gmail`.
    pub title: &'static str,
    /// What its own error bodies say beyond the status; `None`: no more than that.
    pub said: fn(&Answer) -> Option<Said>,
    /// How it takes many calls as one, if it does.
    pub batch: Option<BatchSpec>,
}

/// One call of an API. Written out in full it is a line: `ApiCall::get(&GMAIL, "history.list", "gmail/v1/users/me/history").units(2)`.
#[derive(Debug)]
pub struct ApiCall {
    /// Whose.
    pub api: &'static ApiSpec,
    /// As the provider's documentation calls it: in metrics and in sentences.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// Below the base URL; `{name}` is filled in by [`Ask::at`].
    pub path: &'static str,
    /// What it costs of the quota.
    pub units: u32,
    /// The scopes that it needs, told where one is missing.
    pub scopes: &'static [&'static str],
    /// Bytes of its answer.
    pub max_body: usize,
    /// Statuses by which the provider says that the cursor which was sent is dead: `Resync`.
    pub dead: &'static [u16],
}

impl ApiCall {
    /// A GET.
    pub const fn get(api: &'static ApiSpec, name: &'static str, path: &'static str) -> Self {
        Self::new(api, name, Method::GET, path)
    }

    /// A POST.
    pub const fn post(api: &'static ApiSpec, name: &'static str, path: &'static str) -> Self {
        Self::new(api, name, Method::POST, path)
    }

    /// A PUT.
    pub const fn put(api: &'static ApiSpec, name: &'static str, path: &'static str) -> Self {
        Self::new(api, name, Method::PUT, path)
    }

    /// A call that costs one unit and answers with no more than 4 MiB.
    pub const fn new(api: &'static ApiSpec, name: &'static str, method: Method, path: &'static str) -> Self {
        Self { api, name, method, path, units: 1, scopes: &[], max_body: BODY, dead: &[] }
    }

    /// What it costs of the quota.
    pub const fn units(mut self, units: u32) -> Self {
        self.units = units;
        self
    }

    /// The scopes that it needs.
    pub const fn scopes(mut self, scopes: &'static [&'static str]) -> Self {
        self.scopes = scopes;
        self
    }

    /// Bytes of its answer.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Statuses by which it says that the cursor is dead.
    pub const fn dead(mut self, statuses: &'static [u16]) -> Self {
        self.dead = statuses;
        self
    }

    /// The call, to be given its values.
    pub fn ask(&'static self) -> Ask {
        Ask { call: self, at: Vec::new(), query: Vec::new(), body: None }
    }
}

/// A call with its values.
#[derive(Clone)]
pub struct Ask {
    pub(super) call: &'static ApiCall,
    at: Vec<(&'static str, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<(&'static str, Bytes)>,
}

impl Ask {
    /// Fills `{name}` of the path in, encoded: whatever is in it, it stays one segment.
    pub fn at(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.at.push((name, value.into()));
        self
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a query parameter, where there is a value.
    pub fn maybe(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Sets a query parameter in the place of what it was.
    pub(super) fn set(mut self, name: &str, value: String) -> Self {
        self.query.retain(|(known, _)| known != name);
        self.query.push((name.to_owned(), value));
        self
    }

    /// Sends `value` as JSON.
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// Sends `body`.
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type, body.into()));
        self
    }

    /// Where it goes.
    ///
    /// # Errors
    /// `Rejected` where a value cannot stand in a path.
    pub(super) fn url(&self, base: &Url) -> Result<Url, Fault> {
        let mut url = base.clone();
        {
            let no_path =
                || Fault::rejected(format!("{} has no place for paths: look at its base URL", self.call.api.title));
            let mut path = url.path_segments_mut().map_err(|()| no_path())?;
            path.pop_if_empty();
            for segment in self.call.path.split('/') {
                path.push(&self.segment(segment)?);
            }
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }

    fn segment(&self, template: &str) -> Result<String, Fault> {
        let mut segment = template.to_owned();
        for (name, value) in &self.at {
            let place = format!("{{{name}}}");
            if !template.contains(&place) {
                continue;
            }
            // A lone dot or two would climb out of the path.
            if value.is_empty() || value == "." || value == ".." {
                return Err(Fault::rejected(format!("`{value}` is no {name} for {}", self.call.name)));
            }
            segment = segment.replace(&place, value);
        }
        Ok(segment)
    }

    /// The request, without its bearer.
    pub(super) fn request(&self, base: &Url) -> Result<Call, Fault> {
        let call = Call::new(self.call.method.clone(), self.url(base)?).max_body(self.call.max_body);
        Ok(match &self.body {
            Some((content_type, body)) => call.body(content_type, body.clone()),
            None => call,
        })
    }

    /// Whether a repetition changes nothing.
    pub(super) fn is_safe(&self) -> bool {
        self.call.method == Method::GET
    }
}
