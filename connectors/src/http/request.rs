//! The reaction `http.request`. The run's key goes along as `Idempotency-Key`, the same on every attempt: a server that knows
//! that header does the work once.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use engine::duration::Span;
use engine::fault::Fault;
use engine::net::{Answer, Call, Trust, literal_origin, parse_url, place};
use engine::port::{About, Guarantee, Invalid, ReactCx, Reacted, ReactionSpec, params};
use reqwest::header::{CONTENT_TYPE, HeaderMap, SET_COOKIE};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::target::{Headers, Statuses, check_url};

/// The header that carries the run's key.
const KEY: &str = "idempotency-key";
/// The longest that a request may take.
const LONGEST: Duration = Duration::from_secs(300);

/// A request to send. Give at most one of `json`, `form` and `body`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Request {
    /// How to ask.
    #[serde(default)]
    method: Verb,
    /// Where to send it. Beside `headers` its origin (`https://example.com`) must be written out; path and query may be templates.
    #[schemars(length(min = 1, max = 8192), extend("x-guard" = true))]
    url: String,
    /// Headers to send, by name: credentials, `accept`.
    #[serde(default)]
    headers: Headers,
    /// A body in JSON: any value; the templates in it are filled in.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    json: Option<Value>,
    /// A form: text by field.
    #[serde(default)]
    form: Option<BTreeMap<String, String>>,
    /// A body as it is: plain text unless `headers` name another `content-type`.
    #[serde(default)]
    body: Option<String>,
    /// How long to wait for the whole answer, at most `5m`.
    #[serde(default = "half_a_minute")]
    timeout: Span,
    /// The statuses that are a success, alone (`404`) or by class (`"2xx"`). Of the others, those that may pass are tried again.
    #[serde(default = "fine")]
    ok: Statuses,
}

/// How to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
enum Verb {
    Get,
    Head,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// `null` is a value here, not an absence.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

fn half_a_minute() -> Span {
    Span::from_secs(30)
}

fn fine() -> Statuses {
    Statuses::classes(2..=2)
}

/// See the module.
pub static SPEC: ReactionSpec = ReactionSpec {
    name: "request",
    title: "Send a request",
    description: "Sends an HTTP request; later steps see the status, the headers and the body of the answer.",
    params: params::<Request>,
    sample_params: r#"{"method": "POST", "url": "https://example.com/hooks/orders", "json": {"text": "A new order"}}"#,
    sample_output: r#"{"status": 201, "headers": {"content-type": "application/json"}, "json": {"id": 7}}"#,
    scopes: &[],
    about: About::NONE,
    guarantee: Guarantee::AtLeastOnce,
    check,
    react: |cx| Box::pin(react(cx)),
};

/// Reads what can be read of stored params: a template may stand where a number or a list will be.
fn check(data: &Value) -> Vec<Invalid> {
    let mut wrong = Vec::new();
    let given: Vec<_> = ["json", "form", "body"].into_iter().filter(|name| data.get(name).is_some()).collect();
    if let [_, second, ..] = given[..] {
        wrong.push(Invalid::new(format!("/{second}"), format!("only one of {} can be sent", given.join(", "))));
    }
    let headers = data.get("headers").map(Headers::deserialize).and_then(Result::ok).unwrap_or_default();
    wrong.extend(headers.check());
    let url = data.get("url").and_then(Value::as_str).unwrap_or_default();
    match literal_origin(url) {
        Some(origin) => wrong.extend(check_url(origin)),
        None if !headers.is_empty() => wrong.push(Invalid::new(
            "/url",
            "beside `headers` the origin must be written out, like `https://example.com/{{ event.id }}`: a credential belongs \
             to one origin",
        )),
        None => {}
    }
    let timeout = data.get("timeout").and_then(|timeout| Span::deserialize(timeout).ok());
    if timeout.is_some_and(|timeout| timeout.is_zero() || timeout.duration() > LONGEST) {
        wrong.push(Invalid::new("/timeout", "is more than nothing and at most `5m`"));
    }
    wrong
}

async fn react(cx: ReactCx<'_>) -> Result<Reacted, Fault> {
    let request = Request::deserialize(cx.params).map_err(|e| Fault::rejected(format!("http.request: {e}")))?;
    let answer = cx.http.send(Trust::User, request.call(cx.key)?, cx.now).await?;
    if request.ok.has(answer.status) {
        return Ok(Reacted::Done(output(&answer)));
    }
    let beginning = || request.headers.redact(answer.beginning());
    Err(match answer.fault(cx.now) {
        Some(Fault::Later { not_before, why, maybe_done }) => {
            Fault::Later { not_before, why: format!("{why}, {}", beginning()), maybe_done }
        }
        Some(fault) => Fault::rejected(format!("{}, {}", fault.why(), beginning())),
        None => Fault::rejected(format!("{} answered {}, which `ok` does not list", place(&answer.url), answer.status)),
    })
}

impl Request {
    fn call(&self, key: &str) -> Result<Call, Fault> {
        let method = match self.method {
            Verb::Get => reqwest::Method::GET,
            Verb::Head => reqwest::Method::HEAD,
            Verb::Post => reqwest::Method::POST,
            Verb::Put => reqwest::Method::PUT,
            Verb::Patch => reqwest::Method::PATCH,
            Verb::Delete => reqwest::Method::DELETE,
            Verb::Options => reqwest::Method::OPTIONS,
        };
        let url = parse_url(&self.url).map_err(Fault::rejected)?;
        let mut call = self.headers.put(Call::new(method, url))?.timeout(self.timeout.duration().min(LONGEST));
        if !self.headers.has(KEY) {
            call = call.header(KEY, key)?;
        }
        Ok(match (&self.json, &self.form, &self.body) {
            (Some(json), None, None) => call.json(json),
            (None, Some(form), None) => call.form(form),
            (None, None, Some(text)) => call.body("text/plain; charset=utf-8", Bytes::from(text.clone())),
            (None, None, None) => call,
            _ => return Err(Fault::rejected("only one of json, form and body can be sent")),
        })
    }
}

/// What later steps see: `json` where the body is JSON, else `text`.
fn output(answer: &Answer) -> Value {
    let mut output = json!({ "status": answer.status.as_u16() });
    output["headers"] = headers(&answer.headers).into();
    let says_json = answer.header(CONTENT_TYPE).is_some_and(|kind| kind.contains("json"));
    let looks_json = matches!(answer.body.trim_ascii_start().first(), Some(b'{' | b'['));
    let body = if says_json || looks_json { answer.json().ok() } else { None };
    match body {
        Some(body) => output["json"] = body,
        None => output["text"] = answer.text().into(),
    }
    output
}

/// Headers in lower case; several of one name are joined as HTTP does. Cookies are left out: they are credentials.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut all = Map::new();
    for name in headers.keys().filter(|name| **name != SET_COOKIE) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        all.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    all
}
