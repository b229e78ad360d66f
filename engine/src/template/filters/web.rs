//! Filters on JSON, URLs and encodings.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use minijinja::Value;
use minijinja::value::Serde;
use url::{Position, Url};

use super::{Call, Filter, filter};
use crate::template::budget::said;
use crate::template::output;

const PARTS: &str = "`scheme`, `host`, `port`, `origin`, `path`, `query` and `fragment`";

pub(super) static FILTERS: [Filter; 6] = [
    filter("tojson", &["pretty"], 0, tojson, "The value as JSON text, on one line or with `pretty` on many.")
        .seeing_null(),
    filter("fromjson", &[], 0, fromjson, "The value of a JSON text."),
    filter("urlencode", &[], 0, urlencode, "Percent-encoded for a URL; an object becomes a query string."),
    filter(
        "url_part",
        &["part", "name"],
        1,
        url_part,
        "A part of a URL: `host`, `path`, `query` (with `name` one of its values) …; null if it has none.",
    ),
    filter("b64encode", &["url"], 0, encode, "In base64; with `url` in the alphabet for URLs, without padding."),
    filter("b64decode", &[], 0, decode, "From base64, in either alphabet, to text."),
];

fn tojson(call: &mut Call<'_>) -> Result<Value, String> {
    let pretty = call.arg_true(0);
    output::json_text(&call.value, call.budget, pretty).map(Value::from)
}

fn fromjson(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    // A parsed value takes up to some thirty times its text: `[[],[],…`.
    call.budget.work(text.len().saturating_mul(8))?;
    let parsed: serde_json::Value = serde_json::from_str(&text).map_err(|e| format!("this is not JSON: {e}"))?;
    Ok(Value::from(Serde(parsed)))
}

fn urlencode(call: &mut Call<'_>) -> Result<Value, String> {
    call.budget.read(&call.value)?;
    let encoded = minijinja::filters::urlencode(&call.value).map_err(said)?;
    call.made(encoded)
}

fn url_part(call: &mut Call<'_>) -> Result<Value, String> {
    let (text, part, name) = (call.text()?, call.need_text(0)?, call.arg_text(1)?);
    let shown: String = text.chars().take(80).collect();
    let url = Url::parse(text.trim()).map_err(|e| format!("`{shown}` is not a URL: {e}"))?;
    let found = match &*part {
        "scheme" => Some(url.scheme().to_owned()),
        "host" => url.host_str().map(str::to_owned),
        "port" => return Ok(url.port_or_known_default().map_or_else(|| Value::from(()), Value::from)),
        "origin" => Some(url[..Position::BeforePath].to_owned()).filter(|_| url.has_host()),
        "path" => Some(url.path().to_owned()),
        "fragment" => url.fragment().map(str::to_owned),
        "query" => match name {
            Some(name) => url.query_pairs().find(|(key, _)| *key == *name).map(|(_, value)| value.into_owned()),
            None => url.query().map(str::to_owned),
        },
        other => return Err(format!("a URL has no part `{other}`: {PARTS} are known")),
    };
    match found {
        Some(found) => call.made(found),
        None => Ok(Value::from(())),
    }
}

fn encode(call: &mut Call<'_>) -> Result<Value, String> {
    let text = call.text()?;
    call.budget.text(text.len().saturating_add(2) / 3 * 4)?;
    let engine = if call.arg_true(0) { &URL_SAFE_NO_PAD } else { &STANDARD };
    Ok(Value::from(engine.encode(text.as_bytes())))
}

fn decode(call: &mut Call<'_>) -> Result<Value, String> {
    let text: String = call.text()?.chars().filter(|c| !c.is_whitespace()).collect();
    let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let bytes = engines.iter().find_map(|engine| engine.decode(&text).ok());
    let bytes = bytes.ok_or_else(|| "this is not base64".to_owned())?;
    let text = String::from_utf8(bytes).map_err(|_| "what the base64 holds is not a text".to_owned())?;
    call.made(text)
}
