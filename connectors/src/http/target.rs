//! What the actions and the reaction of this service say about a request: its headers, its method, and which statuses are a
//! success.

use std::collections::BTreeMap;
use std::fmt;

use engine::fault::Fault;
use engine::net::{self, Call};
use engine::port::Invalid;
use reqwest::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The most headers of one request.
const MAX_HEADERS: usize = 50;

/// Request headers by name. Their values are secret: they are sealed, and never shown again.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Headers(BTreeMap<String, HeaderText>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("writeOnly" = true))]
struct HeaderText(String);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Headers {
    /// Adds them to a request.
    ///
    /// # Errors
    /// `Rejected` for one that cannot be sent; never shows its value.
    pub fn put(&self, mut call: Call) -> Result<Call, Fault> {
        for (name, value) in &self.0 {
            call = call.header(name, &value.0)?;
        }
        Ok(call)
    }

    /// What is wrong with them, under `/headers`. Values are checked when they are sent: they may hold templates.
    pub fn check(&self) -> Vec<Invalid> {
        let mut wrong: Vec<_> =
            self.0.keys().filter_map(|name| Some((name, net::header(name, "").err()?))).map(invalid).collect();
        if self.0.len() > MAX_HEADERS {
            wrong
                .push(Invalid::new("/headers", format!("{} headers; at most {MAX_HEADERS} are allowed", self.0.len())));
        }
        wrong
    }

    /// `text` with every header's value taken out, for what a server echoes in an error.
    pub fn redact(&self, mut text: String) -> String {
        /// Shorter words are no credentials, and taking them out would shred the text.
        const SHORTEST: usize = 6;
        for HeaderText(value) in self.0.values() {
            for word in std::iter::once(value.as_str()).chain(value.split_ascii_whitespace()) {
                if word.len() >= SHORTEST && text.contains(word) {
                    text = text.replace(word, "[REDACTED]");
                }
            }
        }
        text
    }

    /// Whether one of this name (in lower case) is given.
    pub fn has(&self, name: &str) -> bool {
        self.0.keys().any(|key| key.eq_ignore_ascii_case(name))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn invalid((name, why): (&String, String)) -> Invalid {
    Invalid::new(format!("/headers/{}", name.replace('~', "~0").replace('/', "~1")), why)
}

/// How to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum Asking {
    /// The usual way.
    #[default]
    Get,
    /// For addresses that want a question in the body.
    Post,
}

impl Asking {
    /// Makes the request.
    ///
    /// # Errors
    /// `Rejected` where the URL or a header cannot be used.
    pub fn call(self, url: &str, headers: &Headers, body: Option<&str>) -> Result<Call, Fault> {
        let url = net::parse_url(url).map_err(Fault::rejected)?;
        let call = headers.put(Call::new(self.method(), url))?;
        Ok(match body {
            Some(body) => call.body("application/json", body.to_owned()),
            None => call,
        })
    }

    /// As the client has it.
    pub fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
        }
    }

    /// What is wrong with a body beside this method.
    pub fn check_body(self, body: Option<&str>) -> Option<Invalid> {
        let misplaced = self == Self::Get && body.is_some();
        misplaced.then(|| Invalid::new("/body", "a GET has no body; set `method` to POST"))
    }
}

/// What is wrong with the text of a URL, whatever the operator allows. Templates are left to the engine.
pub fn check_url(url: &str) -> Option<Invalid> {
    net::parse_url(url).err().map(|why| Invalid::new("/url", why))
}

/// Statuses, one by one or by class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Value>", into = "Vec<Value>")]
pub struct Statuses(Vec<(u16, u16)>);

impl Statuses {
    /// Whole classes: `2..=3` is 200 to 399.
    pub fn classes(classes: std::ops::RangeInclusive<u16>) -> Self {
        Self(classes.map(|class| (class * 100, class * 100 + 99)).collect())
    }

    /// Whether `status` is one of them.
    pub fn has(&self, status: StatusCode) -> bool {
        self.0.iter().any(|&(from, to)| (from..=to).contains(&status.as_u16()))
    }
}

impl TryFrom<Vec<Value>> for Statuses {
    type Error = String;

    fn try_from(list: Vec<Value>) -> Result<Self, String> {
        let read = |one: &Value| match one {
            Value::Number(n) => {
                n.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| (100..600).contains(n)).map(|n| (n, n))
            }
            Value::String(s) => match s.as_bytes() {
                &[class @ b'1'..=b'5', b'x', b'x'] => {
                    let from = u16::from(class - b'0') * 100;
                    Some((from, from + 99))
                }
                _ => None,
            },
            _ => None,
        };
        let ranges = list
            .iter()
            .map(|one| read(one).ok_or_else(|| format!("{one} is neither a status like 404 nor a class like \"2xx\"")));
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

impl From<Statuses> for Vec<Value> {
    fn from(statuses: Statuses) -> Self {
        let write = |(from, to)| if from == to { json!(from) } else { json!(format!("{}xx", from / 100)) };
        statuses.0.into_iter().map(write).collect()
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Statuses".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "array",
            "items": { "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "pattern": "^[1-5]xx$" },
            ] },
            "minItems": 1,
            "maxItems": 50,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: Value) -> Headers {
        Headers::deserialize(value).unwrap()
    }

    #[test]
    fn statuses_are_read_alone_and_by_class() {
        let check =
            |list: Value, want: Result<&[u16], &str>| match (serde_json::from_value::<Statuses>(list.clone()), want) {
                (Ok(statuses), Ok(inside)) => {
                    let all = (100..600).filter(|&s| statuses.has(StatusCode::from_u16(s).unwrap()));
                    assert_eq!(all.collect::<Vec<_>>(), inside, "{list}");
                    assert_eq!(serde_json::to_value(statuses).unwrap(), list);
                }
                (Err(e), Err(part)) => assert!(e.to_string().contains(part), "{e}"),
                (got, _) => panic!("{list}: {got:?}"),
            };
        check(json!([200, 404]), Ok(&[200, 404]));
        check(json!(["5xx"]), Ok(&(500..600).collect::<Vec<_>>()));
        check(json!([]), Ok(&[]));
        check(json!([99]), Err("99 is neither"));
        check(json!(["6xx"]), Err("\"6xx\" is neither"));
        check(json!(["ok"]), Err("\"ok\" is neither"));
        assert_eq!(json!(Statuses::classes(2..=3)), json!(["2xx", "3xx"]));
    }

    #[test]
    fn headers_are_checked_and_never_shown() {
        let wrong = headers(json!({"Host": "SECRET", "a/b": "SECRET", "Accept": "SECRET"})).check();
        let places: Vec<_> = wrong.iter().map(|w| w.pointer.as_str()).collect();
        assert_eq!(places, ["/headers/Host", "/headers/a~1b"]);
        let many = headers((0..51).map(|i| (format!("x-{i}"), json!("SECRET"))).collect());
        assert_eq!(many.check()[0].pointer, "/headers");
        for shown in [format!("{wrong:?}"), format!("{many:?}")] {
            assert!(!shown.contains("SECRET"), "{shown}");
        }
    }

    #[test]
    fn a_credential_that_comes_back_is_taken_out() {
        let headers = headers(json!({"Authorization": "Bearer sk-12345", "X-A": "b"}));
        assert_eq!(headers.redact("bad key sk-12345, b".into()), "bad key [REDACTED], b");
        assert_eq!(headers.redact("got `Bearer sk-12345`".into()), "got `[REDACTED]`");
    }
}
