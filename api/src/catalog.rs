//! What the services offer, as JSON: the same words for `GET /v1/services`, `area catalog` and the page. Everything comes from
//! the specs.

use engine::port::{About, ActionSpec, FeedKind, ReactionSpec, Service};
use serde_json::{Value, json};

/// One line of the list: `{name, title, description}` and the provider whose account it needs.
pub fn line(service: &Service) -> Value {
    json!({
        "name": service.name, "title": service.title, "description": service.description, "provider": service.provider,
    })
}

/// Everything about a service: the line, and its actions and reactions in full.
pub fn full(service: &Service) -> Value {
    let mut all = line(service);
    all["actions"] = service.actions.iter().map(|a| action(a)).collect();
    all["options"] = service.options.iter().map(|o| json!({ "name": o.name, "scopes": o.scopes })).collect();
    all["reactions"] = service.reactions.iter().map(|r| reaction(r)).collect();
    all
}

/// Everything about an action: schema and sample of its `data`, a sample event, how it comes and how often at most.
pub fn action(spec: &ActionSpec) -> Value {
    let (kind, floor, default) = match &spec.feed.kind {
        FeedKind::Polled { floor, default, .. } => ("polled", Some(floor.as_secs()), Some(default.as_secs())),
        FeedKind::Hook { .. } => ("hook", None, None),
        FeedKind::Native => ("native", None, None),
    };
    json!({
        "name": spec.name, "title": spec.title, "description": spec.description,
        "schema": (spec.params)(), "sample": sample(spec.sample_params), "event": sample(spec.sample_event),
        "scopes": spec.scopes, "feed": spec.feed.name, "kind": kind,
        "every_at_least_s": floor, "every_default_s": default,
        "cost": spec.about.cost, "tried": spec.about.tried, "event_schema": gives(&spec.about),
    })
}

/// Everything about a reaction: schema and sample of its `data`, a sample output, what a repetition does.
pub fn reaction(spec: &ReactionSpec) -> Value {
    json!({
        "name": spec.name, "title": spec.title, "description": spec.description,
        "schema": (spec.params)(), "sample": sample(spec.sample_params), "output": sample(spec.sample_output),
        "scopes": spec.scopes, "guarantee": spec.guarantee,
        "cost": spec.about.cost, "tried": spec.about.tried, "output_schema": gives(&spec.about),
    })
}

fn gives(about: &About) -> Option<Value> {
    about.gives.map(|schema| schema())
}

/// A spec's sample; the conformance suite holds that it is JSON.
fn sample(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
