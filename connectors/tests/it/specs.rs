//! The specs of every service: a form, the API's check and the docs are made of them, so each must be whole.

use std::collections::HashSet;
use std::fmt::Debug;

use connectors::all;
use engine::port::{About, Invalid};
use serde_json::{Value, json};

/// One action or reaction, as the checks below need it.
struct Spec {
    /// `webhook.received`
    path: String,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    schema: Value,
    sample_params: Value,
    /// The sample event or output.
    sample: Value,
    about: About,
    /// It acts with an account.
    has_account: bool,
    /// What the service offers to be picked.
    options: Vec<&'static str>,
    check: fn(&Value) -> Vec<Invalid>,
}

fn specs() -> Vec<Spec> {
    let read = |path: &str, what: &str, text: &str| -> Value {
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{path}: {what} is no JSON: {e}"))
    };
    let mut specs = Vec::new();
    for service in all() {
        for a in service.actions {
            let path = format!("{}.{}", service.name, a.name);
            specs.push(Spec {
                sample_params: read(&path, "sample_params", a.sample_params),
                sample: read(&path, "sample_event", a.sample_event),
                name: a.name,
                title: a.title,
                description: a.description,
                schema: (a.params)(),
                check: a.check,
                about: a.about,
                has_account: service.provider.is_some(),
                options: service.options.iter().map(|o| o.name).collect(),
                path,
            });
        }
        for r in service.reactions {
            let path = format!("{}.{}", service.name, r.name);
            specs.push(Spec {
                sample_params: read(&path, "sample_params", r.sample_params),
                sample: read(&path, "sample_output", r.sample_output),
                name: r.name,
                title: r.title,
                description: r.description,
                schema: (r.params)(),
                check: r.check,
                about: r.about,
                has_account: service.provider.is_some(),
                options: service.options.iter().map(|o| o.name).collect(),
                path,
            });
        }
    }
    specs
}

fn validator(spec: &Spec) -> jsonschema::Validator {
    jsonschema::validator_for(&spec.schema)
        .unwrap_or_else(|e| panic!("{}: the schema does not compile: {e}", spec.path))
}

#[track_caller]
fn none<T: Debug>(path: &str, what: &str, found: &[T]) {
    assert!(found.is_empty(), "{path}: {what}: {found:?}");
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn there_is_something_to_check() {
    assert!(specs().len() > 1);
}

#[test]
fn names_are_snake_case_and_each_is_there_once() {
    let mut seen = HashSet::new();
    for service in all() {
        assert!(is_snake_case(service.name) && seen.insert(service.name.to_owned()), "{}", service.name);
        assert!(!service.actions.is_empty() || !service.reactions.is_empty(), "{} offers nothing", service.name);
    }
    for spec in specs() {
        assert!(is_snake_case(spec.name), "{}", spec.path);
    }
    for service in all() {
        let actions: HashSet<_> = service.actions.iter().map(|a| a.name).collect();
        let reactions: HashSet<_> = service.reactions.iter().map(|r| r.name).collect();
        assert_eq!(actions.len(), service.actions.len(), "{}", service.name);
        assert_eq!(reactions.len(), service.reactions.len(), "{}", service.name);
    }
}

#[test]
fn one_feed_name_is_one_feed() {
    for service in all() {
        for a in service.actions {
            for b in service.actions {
                let same = std::ptr::eq(a.feed, b.feed);
                assert_eq!(a.feed.name == b.feed.name, same, "{}: {} and {}", service.name, a.name, b.name);
            }
            assert!(is_snake_case(a.feed.name), "{}.{}", service.name, a.feed.name);
        }
    }
}

#[test]
fn titles_and_descriptions_are_there() {
    for service in all() {
        assert!(!service.title.is_empty() && service.description.ends_with('.'), "{}", service.name);
    }
    for spec in specs() {
        assert!(!spec.title.is_empty() && !spec.title.ends_with('.'), "{}: {:?}", spec.path, spec.title);
        assert!(spec.description.ends_with('.'), "{}: {:?}", spec.path, spec.description);
    }
}

#[test]
fn schemas_accept_their_samples_and_nothing_unknown() {
    for spec in specs() {
        let validator = validator(&spec);
        let errors: Vec<_> = validator.iter_errors(&spec.sample_params).map(|e| e.to_string()).collect();
        none(&spec.path, "the schema refuses the sample", &errors);
        none(&spec.path, "check refuses the sample", &(spec.check)(&spec.sample_params));
        assert_eq!(spec.schema["type"], "object", "{}", spec.path);

        let mut unknown = spec.sample_params.clone();
        unknown.as_object_mut().expect("params are an object").insert("no_such_key".into(), json!(1));
        assert!(!validator.is_valid(&unknown), "{}: an unknown key is accepted", spec.path);
    }
}

#[test]
fn unknown_keys_are_refused_at_every_depth() {
    for spec in specs() {
        let mut open = Vec::new();
        walk(&spec.schema, "", &mut |place, schema| {
            // A map of the user's own keys (headers) says what its values are.
            let closed = schema.get("additionalProperties").is_some_and(|more| more == false || more.is_object());
            if schema.get("properties").is_some() && !closed {
                open.push(place.to_owned());
            }
        });
        none(&spec.path, "these objects accept unknown keys", &open);
    }
}

#[test]
fn every_property_says_what_it_is() {
    for spec in specs() {
        let (definitions, mut bare) = (&spec.schema["$defs"], Vec::new());
        walk(&spec.schema, "", &mut |place, schema| {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, property) in properties {
                let referred = property["$ref"].as_str().and_then(|r| definitions.get(r.strip_prefix("#/$defs/")?));
                let words = [Some(property), referred].into_iter().flatten().find_map(|p| p["description"].as_str());
                if words.is_none_or(str::is_empty) {
                    bare.push(format!("{place}/{name}"));
                }
            }
        });
        none(&spec.path, "these properties have no description", &bare);
    }
}

#[test]
fn what_is_named_like_a_credential_is_sealed() {
    const WORDS: [&str; 7] = ["secret", "token", "password", "api_key", "apikey", "credential", "headers"];
    for spec in specs() {
        let mut open = Vec::new();
        walk(&spec.schema, "", &mut |place, schema| {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, property) in properties {
                // `older_secrets` are credentials, a `secret_encoding` is none.
                let named = WORDS.iter().any(|word| name.ends_with(word) || name.ends_with(&format!("{word}s")));
                // A map is sealed value by value.
                let inner = property.get("additionalProperties").unwrap_or(&Value::Null);
                if named && property["writeOnly"] != true && inner["writeOnly"] != true {
                    open.push(format!("{place}/{name}"));
                }
            }
        });
        none(&spec.path, "these need `writeOnly`", &open);
    }
}

#[test]
fn what_is_named_like_a_url_is_guarded() {
    for spec in specs() {
        let mut open = Vec::new();
        walk(&spec.schema, "", &mut |place, schema| {
            let property = schema.get("properties").and_then(|properties| properties.get("url"));
            if property.is_some_and(|property| property["x-guard"] != true && property["type"] == "string") {
                open.push(format!("{place}/url"));
            }
        });
        none(&spec.path, "these need `x-guard`", &open);
    }
}

#[test]
fn nothing_in_a_schema_is_fetched() {
    for spec in specs() {
        let mut outside = Vec::new();
        walk(&spec.schema, "", &mut |place, schema| {
            if schema.get("$ref").and_then(Value::as_str).is_some_and(|r| !r.starts_with('#')) {
                outside.push(place.to_owned());
            }
        });
        none(&spec.path, "these references lead outside", &outside);
    }
}

#[test]
fn samples_are_not_empty() {
    for spec in specs() {
        let empty = match &spec.sample {
            Value::Null => true,
            Value::Object(o) => o.is_empty(),
            Value::String(s) => s.is_empty(),
            _ => false,
        };
        assert!(!empty, "{}", spec.path);
    }
}

#[test]
fn an_action_takes_its_own_sample() {
    for service in all() {
        for a in service.actions {
            let (data, event): (Value, Value) =
                (serde_json::from_str(a.sample_params).unwrap(), serde_json::from_str(a.sample_event).unwrap());
            let verdict = (a.select)(&data, &event, None);
            assert_eq!(verdict, engine::port::Verdict::Take, "{}.{}", service.name, a.name);
            let mut seen = event.clone();
            a.view.into_iter().for_each(|view| view(&data, &mut seen));
            assert_eq!(seen, event, "{}.{}: the sample is not what expressions see", service.name, a.name);
            let feed = (a.feed_params)(&data);
            assert_eq!(feed, (a.feed_params)(&data), "{}.{}: feed_params is not a function", service.name, a.name);
            assert!(feed.is_object(), "{}.{}", service.name, a.name);
        }
    }
}

/// Calls `see` with every schema inside `schema` and its place.
fn walk(schema: &Value, place: &str, see: &mut impl FnMut(&str, &Value)) {
    match schema {
        Value::Object(object) => {
            see(place, schema);
            for (name, inner) in object {
                walk(inner, &format!("{place}/{name}"), see);
            }
        }
        Value::Array(list) => {
            for (i, inner) in list.iter().enumerate() {
                walk(inner, &format!("{place}/{i}"), see);
            }
        }
        _ => {}
    }
}

#[test]
fn what_acts_with_an_account_says_what_it_costs_what_it_was_run_against_and_what_it_gives() {
    for spec in specs().into_iter().filter(|spec| spec.has_account) {
        assert!(!spec.about.cost.is_empty() && !spec.about.tried.is_empty(), "{}", spec.path);
        let gives = spec.about.gives.unwrap_or_else(|| panic!("{}: no schema of what it gives", spec.path))();
        let errors: Vec<_> =
            jsonschema::validator_for(&gives).unwrap().iter_errors(&spec.sample).map(|e| e.to_string()).collect();
        none(&spec.path, "what it gives is not its sample", &errors);
        let properties = gives["properties"].as_object().unwrap();
        let bare: Vec<_> =
            properties.iter().filter(|(_, p)| p["description"].as_str().is_none_or(str::is_empty)).collect();
        none(&spec.path, "these are not explained", &bare);
        let sample: Vec<_> = spec.sample.as_object().unwrap().keys().collect();
        assert_eq!(sample, properties.keys().collect::<Vec<_>>(), "{}: the sample shows each, and no other", spec.path);
    }
}

#[test]
fn what_is_large_is_a_field_of_the_event_that_may_be_absent_and_nothing_is_selected_by_it() {
    for action in all().iter().flat_map(|service| service.actions) {
        let large = action.about.large;
        let sample: Value = serde_json::from_str(action.sample_event).unwrap();
        let unknown: Vec<_> = large.iter().filter(|name| sample.get(**name).is_none()).collect();
        none(action.name, "no fields of the event", &unknown);
        let required = action.about.gives.map(|gives| gives()["required"].clone()).unwrap_or_default();
        let always: Vec<_> =
            large.iter().filter(|name| required.as_array().is_some_and(|all| all.contains(&json!(name)))).collect();
        none(action.name, "may be absent", &always);
        let mut spared = sample.clone();
        spared.as_object_mut().unwrap().retain(|name, _| !large.contains(&name.as_str()));
        let data = serde_json::from_str(action.sample_params).unwrap();
        assert_eq!((action.select)(&data, &spared, None), (action.select)(&data, &sample, None), "{}", action.name);
    }
}

#[test]
fn what_can_be_picked_is_offered() {
    for spec in specs() {
        let mut unknown = Vec::new();
        walk(&spec.schema, "", &mut |place, schema| {
            let options = schema.get("x-options").and_then(Value::as_str);
            unknown.extend(options.filter(|name| !spec.options.contains(name)).map(|name| format!("{place}: {name}")));
        });
        none(&spec.path, "these options are not in the service's list", &unknown);
    }
}
