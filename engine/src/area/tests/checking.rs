//! What is wrong with a document, as data.

use serde_json::{Value, json};

use super::{SERVICES, area, http, put, with};
use crate::area::check::check;
use crate::area::document::{Document, Spelling, merge_patch};

/// What is told of `json`, in its writer's spelling: `pointer: detail`.
fn told(mut json: Value) -> Vec<String> {
    let spelling = match Spelling::unify(&mut json) {
        Ok(spelling) => spelling,
        Err(wrong) => return wrong.into_iter().map(|w| format!("{}: {}", w.pointer, w.detail)).collect(),
    };
    let wrong = match Document::read(&json) {
        Ok(document) => check(&document, SERVICES, &http()),
        Err(wrong) => wrong,
    };
    spelling.respell(wrong).into_iter().map(|w| format!("{}: {}", w.pointer, w.detail)).collect()
}

#[track_caller]
fn wrong(json: Value, want: &[&str]) {
    let got = told(json);
    let fits = |(got, want): (&String, &&str)| got.starts_with(want);
    assert!(got.len() == want.len() && got.iter().zip(want).all(fits), "got {got:#?}\nwant {want:#?}");
}

#[track_caller]
fn right(json: Value) {
    assert_eq!(told(json), [""; 0]);
}

fn step(data: Value) -> Value {
    with("/reactions/0", json!({"service": "http", "name": "request", "data": data}))
}

#[test]
fn a_document_that_is_right_passes_in_every_spelling() {
    right(area());
    let one = area()["reactions"][0].clone();
    let mut spelled = area();
    spelled.as_object_mut().unwrap().remove("reactions");
    right(put(spelled.clone(), "/reaction", one.clone()));
    right(put(spelled.clone(), "/reaction", json!([one])));
    right(put(spelled, "/reactions", one));
}

#[test]
fn errors_are_told_in_the_writers_spelling() {
    let mut spelled = area();
    spelled.as_object_mut().unwrap().remove("reactions");
    let one = json!({"service": "http", "name": "write", "data": {"txt": "a"}});
    let want = |at: &str| {
        [
            format!("{at}/data/txt: unknown member \"txt\": did you mean \"text\"?"),
            format!("{at}/data/text: is required"),
        ]
    };
    for (spelling, value, at) in [
        ("/reaction", one.clone(), "/reaction"),
        ("/reaction", json!([one]), "/reaction/0"),
        ("/reactions", one.clone(), "/reactions"),
        ("/reactions", json!([one]), "/reactions/0"),
    ] {
        let mut got = told(put(spelled.clone(), spelling, value));
        got.sort_by_key(|line| !line.contains("txt"));
        assert_eq!(got, want(at));
    }
    wrong(put(area(), "/reaction", one), &["/reaction: must be absent where `reactions` is given"]);
    wrong(spelled, &["/reactions: is required"]);
}

#[test]
fn the_shape_is_checked_first_with_every_slip_at_its_place() {
    wrong(json!([]), &[": must be an object"]);
    let mut slips = put(area(), "/nmae", json!(1));
    slips["action"]["acount"] = json!("x");
    slips["when"] = json!(3);
    let mut got = told(slips);
    got.sort();
    assert_eq!(
        got,
        [
            "/action/acount: unknown member \"acount\": did you mean \"account\"?",
            "/nmae: unknown member \"nmae\": did you mean \"name\"?",
            "/when: must be a string",
        ]
    );
    wrong(with("/action/every", json!("5 lightyears")), &["/action/every: "]);
    wrong(with("/reactions/0/on_error", json!("retry")), &["/reactions/0/on_error: must be "]);
    wrong(with("/action/account", json!("nobody")), &["/action/account: must be a valid uuid"]);
}

#[test]
fn names_are_looked_up_and_the_nearest_is_proposed() {
    wrong(with("/action/service", json!("htp")), &["/action/service: unknown service \"htp\": did you mean \"http\"?"]);
    wrong(
        with("/action/service", json!("x")),
        &["/action/service: unknown service \"x\": known are \"http\" and \"post\""],
    );
    wrong(
        with("/action/name", json!("new_itme")),
        &["/action/name: unknown action of http \"new_itme\": did you mean \"new_item\"?"],
    );
    wrong(
        with("/reactions/0/name", json!("wriite")),
        &["/reactions/0/name: unknown reaction of http \"wriite\": did you mean \"write\"?"],
    );
}

#[test]
fn names_sizes_and_counts_have_limits() {
    wrong(with("/name", json!("  ")), &["/name: must not be empty"]);
    wrong(with("/name", json!("a\nb")), &["/name: must not have control characters"]);
    wrong(with("/name", json!("é".repeat(201))), &["/name: must have at most 200 characters, this one has 201"]);
    right(with("/name", json!("é".repeat(200))));
    wrong(with("/reactions", json!([])), &["/reactions: must not be empty"]);
    let many: Vec<Value> = (0..33).map(|_| area()["reactions"][0].clone()).collect();
    wrong(with("/reactions", json!(many)), &["/reactions: 33 steps are more than the 32"]);
    wrong(with("/reactions/0/data/text", json!("x".repeat(300_000))), &[": 300"]);
}

#[test]
fn the_actions_data_is_checked_by_its_schema_and_its_own_rules() {
    let mut data = json!({"url": 5, "itms": "", "size": -1});
    let mut got = told(with("/action/data", data.take()));
    got.sort();
    assert_eq!(
        got,
        [
            "/action/data/itms: unknown member \"itms\": did you mean \"items\"?",
            "/action/data/size: must be at least 0",
            "/action/data/url: must be a string",
        ]
    );
    wrong(with("/action/data", json!({})), &["/action/data/url: is required"]);
    wrong(with("/action/data/items", json!("bad")), &["/action/data/items: must be a JSON pointer"]);
}

#[test]
fn of_a_union_the_form_that_was_meant_is_told() {
    let verify = |value: Value| with("/action/data/verify", value);
    right(verify(json!({"kind": "token", "token": "abc"})));
    wrong(
        verify(json!({"kind": "token", "token": "a"})),
        &["/action/data/verify/token: must have at least 3 characters"],
    );
    wrong(verify(json!({"kind": "token"})), &["/action/data/verify/token: is required"]);
    wrong(
        verify(json!({"kind": "token", "token": "abc", "heder": ""})),
        &["/action/data/verify/heder: unknown member"],
    );
    wrong(verify(json!({"kind": "tokn"})), &["/action/data/verify: must be the form with \"kind\": \"none\""]);
}

#[test]
fn intervals_belong_to_what_is_asked_at_one_and_have_a_floor() {
    right(with("/action/every", json!("5s")));
    wrong(with("/action/every", json!("4s")), &["/action/every: must be at least 5s"]);
    wrong(with("/action/every", json!("32d")), &["/action/every: must be at most 31 days"]);
    let mut timer = with("/action", json!({"service": "http", "name": "tick", "data": {"text": "t"}, "every": "9s"}));
    wrong(timer.clone(), &["/action/every: must be absent"]);
    timer["action"].as_object_mut().unwrap().remove("every");
    right(timer.clone());
    wrong(put(timer, "/action/backfill", json!(true)), &["/action/backfill: must be absent"]);
    right(with("/action/backfill", json!(true)));
}

#[test]
fn an_account_is_given_where_the_service_has_a_provider_and_nowhere_else() {
    let account = json!("01920000-0000-7000-8000-000000000001");
    wrong(with("/action/account", account.clone()), &["/action/account: must be absent: http needs no account"]);
    let mail = json!({"service": "post", "name": "mailed"});
    wrong(with("/action", mail.clone()), &["/action/account: is required: the id of a linked google account"]);
    right(with("/action", put(mail, "/account", account.clone())));
    let step = json!({"service": "post", "name": "write", "data": {"text": "a"}});
    wrong(with("/reactions/0", step.clone()), &["/reactions/0/account: is required"]);
    right(with("/reactions/0", put(step, "/account", account)));
}

#[test]
fn expressions_are_compiled_where_they_stand() {
    wrong(with("/when", json!("event.a ==")), &["/when: "]);
    wrong(with("/reactions/0/when", json!("(")), &["/reactions/0/when: "]);
    wrong(with("/reactions/0/for_each", json!("event.[")), &["/reactions/0/for_each: "]);
    wrong(with("/reactions/0/data/text", json!("{{ event. }}")), &["/reactions/0/data/text: "]);
    wrong(
        with("/reactions/0/data/text", json!("{% for a in b %}")),
        &["/reactions/0/data/text: line 1, column 1: statements"],
    );
    right(with("/when", json!("event.a == 'b' and area.name")));
}

#[test]
fn a_step_sees_the_outputs_of_earlier_steps_alone() {
    let steps = |first: &str, second: &str, when: &str| {
        with(
            "/reactions",
            json!([
                {"id": "a", "service": "http", "name": "write", "data": {"text": first}},
                {"service": "http", "name": "write", "data": {"text": second}, "when": when},
            ]),
        )
    };
    right(steps("x", "{{ steps.a.text }} {{ steps['a'].text }}", "steps.a"));
    wrong(steps("{{ steps.a.x }}", "y", "true"), &["/reactions/0/data/text: `steps.a` is not known here"]);
    wrong(steps("{{ steps.step2 }}", "y", "true"), &["/reactions/0/data/text: `steps.step2` is not known here"]);
    wrong(
        steps("x", "{{ steps['b'].text }}", "true"),
        &["/reactions/1/data/text: `steps.b` is not an earlier step: known here are a"],
    );
    wrong(steps("x", "y", "steps.step1"), &["/reactions/1/when: `steps.step1` is not an earlier step"]);
    wrong(with("/when", json!("steps.a.text")), &["/when: `steps.a` is not known here: no step comes before"]);
    wrong(
        steps("x", "{{ item }}", "index == 1"),
        &["/reactions/1/when: `index` is known only", "/reactions/1/data/text: `item` is known only"],
    );
    let each = put(steps("x", "{{ item.id }}", "true"), "/reactions/1/for_each", json!("event.items"));
    right(each.clone());
    wrong(put(each, "/reactions/1/for_each", json!("item")), &["/reactions/1/for_each: `item` is known only"]);
}

#[test]
fn step_ids_are_plain_and_unique() {
    for id in ["A", "a b", "", "1a", "a-b", &"a".repeat(41)] {
        wrong(with("/reactions/0/id", json!(id)), &["/reactions/0/id: must be 1 to 40 small letters"]);
    }
    let mut two = with("/reactions/0/id", json!("step2"));
    two["reactions"].as_array_mut().unwrap().push(area()["reactions"][0].clone());
    wrong(two, &["/reactions/1/id: \"step2\" is already the id of an earlier step"]);
}

#[test]
fn a_template_is_exempt_from_types_but_not_from_the_members_that_are_known() {
    let url = "https://example.com/";
    right(step(json!({"url": url, "times": "{{ event.n }}", "method": "{{ event.m }}", "json": {"a": "{{ event }}"}})));
    right(step(json!({"url": url, "headers": "{{ event.headers }}"})));
    wrong(step(json!({"url": url, "times": "three"})), &["/reactions/0/data/times: must be an integer"]);
    wrong(
        step(json!({"url": url, "method": "GET"})),
        &["/reactions/0/data/method: must be one of \"POST\" or \"PUT\""],
    );
    wrong(step(json!({"method": "{{ event.m }}"})), &["/reactions/0/data/url: is required"]);
    wrong(step(json!({"url": url, "jsn": "{{ event.m }}"})), &["/reactions/0/data/jsn: unknown member"]);
}

#[test]
fn urls_that_may_not_be_called_are_refused_where_the_literal_tells() {
    for url in [
        "http://127.0.0.1/",
        "http://0x7f.1/a",
        "http://localhost:8080/",
        "ftp://example.com/",
        "no url",
        "http://[::1]/",
    ] {
        wrong(with("/action/data/url", json!(url)), &["/action/data/url: "]);
        wrong(step(json!({"url": url})), &["/reactions/0/data/url: "]);
    }
    wrong(step(json!({"url": "http://10.0.0.1/{{ event.id }}"})), &["/reactions/0/data/url: "]);
    right(step(json!({"url": "https://example.com/{{ event.id }}"})));
    right(step(json!({"url": "{{ event.url }}"})));
}

#[test]
fn a_secret_goes_only_where_the_origin_is_literal() {
    let headers = json!({"authorization": "Bearer abc"});
    right(step(json!({"url": "https://example.com/{{ event.id }}", "headers": headers})));
    for url in ["{{ event.url }}", "https://{{ event.host }}/", "https://example.com{{ event.path }}"] {
        wrong(
            step(json!({"url": url, "headers": headers})),
            &["/reactions/0/data/url: must begin with a literal origin"],
        );
        right(step(json!({"url": url, "headers": {}})));
    }
}

#[test]
fn what_stands_for_secrets_cannot_be_sent_as_data() {
    for name in ["$secret", "$sealed", "$env"] {
        let text = json!({ name: "s1.k.a.b" });
        wrong(step(json!({"url": "https://example.com", "json": {"a": [text]}})), &["/reactions/0/data/json/a/0: "]);
    }
}

#[test]
fn a_policy_is_checked_at_its_place() {
    right(with("/policy", json!({"throttle": {"max": 5, "per": "1h"}, "order": {"parallel": 3}})));
    wrong(with("/policy", json!({"throttle": {"max": 0, "per": "1h"}})), &["/policy/throttle/max: "]);
    wrong(with("/policy", json!({"retry": {"atempts": 3}})), &["/policy/retry/atempts: unknown member"]);
    wrong(
        with("/policy", json!({"order": "sideways"})),
        &["/policy/order: must be \"queued\", an object, \"single\" or \"restart\""],
    );
    wrong(with("/policy", json!({"order": {"parallel": "many"}})), &["/policy/order/parallel: must be an integer"]);
}

#[test]
fn no_error_repeats_a_value() {
    let told = told(with(
        "/action/data",
        json!({"url": {"k": "hunter2"}, "headers": {"authorization": ["hunter2"]}, "size": "hunter2"}),
    ));
    assert_eq!(told.len(), 3);
    assert!(!told.join("").contains("hunter2"), "{told:?}");
}

#[test]
fn a_merge_patch_is_that_of_rfc_7396() {
    // The test cases of the RFC's appendix A.
    for (target, patch, result) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
        (json!({"a": "b"}), json!(["c"]), json!(["c"])),
        (json!({"a": "foo"}), json!(null), json!(null)),
        (json!({"a": "foo"}), json!("bar"), json!("bar")),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        // A secret that is not shown is one value, not an object to lay over.
        (json!({"a": {"$secret": true}}), json!({"a": {"x": "1"}}), json!({"a": {"x": "1"}})),
        (json!({"a": {"$secret": true}}), json!({"a": {"$secret": true}}), json!({"a": {"$secret": true}})),
    ] {
        let mut got = target.clone();
        merge_patch(&mut got, &patch);
        assert_eq!(got, result, "{target} + {patch}");
    }
}
