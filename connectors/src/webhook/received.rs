//! The action `webhook.received`.

use engine::port::{About, ActionSpec, FeedKind, FeedSpec, HookCx, HookItem, HookRefusal, Verdict, params};
use serde::Deserialize;
use serde_json::{Value, json};

use super::params::{Received, Verify};
use super::presets::{Scheme, scheme};
use super::{check, event, verify};

/// See the module.
pub static SPEC: ActionSpec = ActionSpec {
    name: "received",
    title: "A request arrives at a URL",
    description: "Gives the AREA a URL of its own. What is sent there is the event, once its sender has proved itself.",
    params: params::<Received>,
    sample_params: r#"{"verify": {"kind": "none"}}"#,
    sample_event: r#"{
        "body": {"order": 42, "status": "paid"},
        "headers": {"content-type": "application/json", "user-agent": "shop/1.0"},
        "query": {"shop": "paris"},
        "method": "POST",
        "at": "2026-11-20T09:00:00Z"
    }"#,
    scopes: &[],
    about: About::NONE,
    feed: &FEED,
    // One source an AREA, whatever its params: a new secret starts no new source.
    feed_params: |_| json!({}),
    select: |_, _, _| Verdict::Take,
    view: None,
    check: check::check,
};

static FEED: FeedSpec = FeedSpec { name: "requests", kind: FeedKind::Hook { receive } };

fn receive(cx: HookCx<'_>) -> Result<HookItem, HookRefusal> {
    let Ok(params) = Received::deserialize(cx.params) else {
        return Err(HookRefusal::Unauthorized("this hook's settings cannot be read".into()));
    };
    let scheme = scheme(&params.verify);
    let signature = match &scheme {
        Scheme::Open => None,
        Scheme::Token(token) => verify::token(token, &cx).map(|()| None)?,
        Scheme::Hmac(hmac) => Some(verify::hmac(hmac, &cx)?),
        Scheme::Given(hmac) => Some(verify::hmac(hmac, &cx)?),
    };
    let item = event::item(&params, &scheme, signature.as_deref(), &cx)?;
    // Slack tries a URL out before it sends (api.slack.com, `url_verification`): the challenge goes back, nothing is recorded.
    let challenge = item.body.pointer("/body/challenge").and_then(Value::as_str);
    match (&params.verify, item.body.pointer("/body/type").and_then(Value::as_str), challenge) {
        (Verify::Slack(_), Some("url_verification"), Some(text)) => Err(HookRefusal::Handshake(text.to_owned())),
        _ => Ok(item),
    }
}

#[cfg(test)]
mod tests;
