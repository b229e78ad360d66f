//! One request at a time through the feed's own function. GitHub's, Slack's and Standard Webhooks' vectors are the ones that
//! their documentation publishes; Stripe's, Trello's and the general form's were computed with Python's `hmac`.

use chrono::{DateTime, Utc};
use engine::port::{FeedKind, HookCx, HookItem, HookRefusal};
use serde_json::{Value, json};

use super::SPEC;

/// A request, to be changed by each test where it matters.
#[derive(Clone)]
struct Request {
    data: Value,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    query: &'static str,
    now: i64,
}

impl Request {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.into(), value.into()));
        self
    }
    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }
    fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }
    fn at(mut self, now: i64) -> Self {
        self.now = now;
        self
    }
    fn query(mut self, query: &'static str) -> Self {
        self.query = query;
        self
    }
    fn data(mut self, pointer: &str, value: Value) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        self.data.pointer_mut(parent).unwrap()[name] = value;
        self
    }
    fn send(&self) -> Result<HookItem, HookRefusal> {
        let FeedKind::Hook { receive } = SPEC.feed.kind else { panic!("a hook") };
        let url = match self.query {
            "" => "https://area.example/hooks/k1".to_owned(),
            query => format!("https://area.example/hooks/k1?{query}"),
        };
        receive(HookCx {
            params: &self.data,
            method: "POST",
            url: &url,
            query: self.query,
            headers: &self.headers,
            body: &self.body,
            now: DateTime::<Utc>::from_timestamp(self.now, 0).unwrap(),
        })
    }
    fn event(&self) -> Value {
        self.send().unwrap().body
    }
    fn key(&self) -> Option<String> {
        self.send().unwrap().key
    }
    #[track_caller]
    fn refused(&self, why: &str) {
        match self.send() {
            Err(HookRefusal::Unauthorized(said)) => assert!(said.contains(why), "{said:?} says nothing of {why:?}"),
            other => panic!("believed, or refused otherwise: {other:?}"),
        }
    }
}

fn open(content_type: &str, body: impl AsRef<[u8]>) -> Request {
    request(json!({"kind": "none"}), &[("content-type", content_type)], body.as_ref(), 1_800_000_000)
}

fn request(verify: Value, headers: &[(&str, &str)], body: &[u8], now: i64) -> Request {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Request { data: json!({ "verify": verify }), headers, body: body.into(), query: "", now }
}

const GITHUB: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn github() -> Request {
    let verify = json!({"kind": "github", "secret": "It's a Secret to Everybody"});
    request(verify, &[("content-type", "text/plain"), ("x-hub-signature-256", GITHUB)], b"Hello, World!", 1_800_000_000)
        .with("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
}

const STRIPE: &str = "t=1492774577,v1=4d38cd5139c7f60e624bf8299775d217793a8e4af46b24f70e9099b0eafff76c,v0=6ffbb59b";

fn stripe() -> Request {
    let verify = json!({"kind": "stripe", "secret": "whsec_test_secret"});
    let body = br#"{"id":"evt_1","object":"event","type":"invoice.paid"}"#;
    request(verify, &[("content-type", "application/json"), ("stripe-signature", STRIPE)], body, 1_492_774_600)
}

fn slack() -> Request {
    let verify = json!({"kind": "slack", "secret": "8f742231b10e8888abcd99yyyzzz85a5"});
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F\
        hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    request(verify, &[("content-type", "application/x-www-form-urlencoded")], body, 1_531_420_620)
        .with("x-slack-signature", signature)
        .with("x-slack-request-timestamp", "1531420618")
}

fn trello() -> Request {
    let verify = json!({"kind": "trello", "secret": "trello_app_secret"});
    let body = "{\"action\":{\"id\":\"51f9424bcd6e040f3c002412\",\"type\":\"updateCard\",\"data\":{\"text\":\"né – 日本\"}},\
        \"model\":{\"id\":\"4d5ea62fd76aa1136000000c\"}}";
    request(verify, &[("content-type", "application/json")], body.as_bytes(), 1_800_000_000)
        .with("x-trello-webhook", "NHatFTsrPM+mFo18yQLymhGgjeA=")
}

const STANDARD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn standard_webhooks() -> Request {
    let verify = json!({"kind": "standard_webhooks", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    request(verify, &[("content-type", "application/json")], br#"{"test": 2432232314}"#, 1_614_265_331)
        .with("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
        .with("webhook-timestamp", "1614265330")
        .with("webhook-signature", STANDARD)
}

/// Every part, SHA-512, base64url, a key in hexadecimal, a timestamp in RFC 3339 (1795165200).
fn general() -> Request {
    let verify = json!({
        "kind": "hmac", "secret": "00ff10", "secret_encoding": "hex", "header": "X-Sign", "prefix": "v2:",
        "encoding": "base64url", "algorithm": "sha512",
        "signed": [{"text": "v2|"}, "timestamp", {"text": "|"}, "url", {"text": "|"}, {"header": "X-Id"}, {"text": "|"}, "body"],
        "timestamp": {"header": "x-at", "tolerance": "1m"}
    });
    let signature = "v2:iG4vC-ZERADtTWOlt3U9FeJeHihsMjYqTNQcie8mFaaWbNkXtpp-lZyP9QNQfVft_s04pK6z-ylx_FLiu37K3g";
    request(verify, &[("x-sign", signature), ("x-id", "d-1"), ("x-at", "2026-11-20T09:00:00Z")], b"hi", 1_795_165_200)
        .query("a=1")
}

#[test]
fn every_schemes_published_vector_is_believed() {
    for request in [github(), stripe(), slack(), trello(), standard_webhooks(), general()] {
        request.send().unwrap_or_else(|e| panic!("{}: {e:?}", request.data));
    }
}

#[test]
fn a_changed_body_is_refused_by_every_scheme() {
    for request in [github(), stripe(), slack(), trello(), standard_webhooks(), general()] {
        let mut changed = request.clone();
        changed.body.push(b' ');
        changed.refused("does not match");
    }
}

#[test]
fn a_wrong_secret_is_refused_by_every_scheme() {
    for request in [github(), stripe(), slack(), trello(), standard_webhooks()] {
        request.data("/verify/secret", json!("whsec_d3Jvbmc=")).refused("does not match");
    }
    general().data("/verify/secret", json!("00ff11")).refused("does not match");
}

#[test]
fn a_missing_signature_is_refused_by_every_scheme() {
    let schemes = [
        (github(), "x-hub-signature-256"),
        (stripe(), "stripe-signature"),
        (slack(), "x-slack-signature"),
        (trello(), "x-trello-webhook"),
        (standard_webhooks(), "webhook-signature"),
        (general(), "x-sign"),
    ];
    for (request, header) in schemes {
        request.clone().without(header).refused("is missing");
        request.clone().with(header, "").refused("");
        request.with(header, "not a signature").refused("");
    }
}

#[test]
fn a_signature_of_half_its_length_is_refused() {
    github().with("x-hub-signature-256", &GITHUB[..GITHUB.len() - 32]).refused("does not match");
    github().with("x-hub-signature-256", "sha256=").refused("does not match");
    github().with("x-hub-signature-256", GITHUB.strip_prefix("sha256=").unwrap()).refused("does not match");
}

#[test]
fn a_signature_given_twice_is_refused() {
    let mut request = github();
    request.headers.push(("x-hub-signature-256".into(), GITHUB.into()));
    request.refused("given twice");
}

#[test]
fn a_stale_or_future_timestamp_is_refused() {
    stripe().at(1_492_774_577 + 300).send().unwrap();
    stripe().at(1_492_774_577 + 301).refused("lies more than 5m");
    stripe().at(1_492_774_577 - 301).refused("lies more than 5m");
    slack().at(1_531_420_618 + 301).refused("lies more than");
    standard_webhooks().at(1_614_265_330 + 301).refused("lies more than");
    standard_webhooks().at(1_614_265_330 + 301).data("/verify/tolerance", json!("10m")).send().unwrap();
    general().at(1_795_165_200 + 61).refused("lies more than 1m");
}

#[test]
fn a_changed_timestamp_or_id_breaks_the_signature() {
    stripe().with("stripe-signature", &STRIPE.replace("1492774577", "1492774578")).refused("does not match");
    slack().with("x-slack-request-timestamp", "1531420619").refused("does not match");
    standard_webhooks().with("webhook-id", "msg_other").refused("does not match");
    standard_webhooks().with("webhook-timestamp", "soon").refused("does not match");
    stripe().with("stripe-signature", "v1=00").refused("no timestamp");
    trello().query("x=1").refused("does not match");
    general().with("x-id", "d-2").refused("does not match");
    general().query("a=2").refused("does not match");
}

#[test]
fn an_older_secret_is_believed_while_it_is_listed() {
    let rolled = stripe().data("/verify/secret", json!("whsec_new_secret"));
    rolled.refused("does not match");
    rolled.data("/verify/older_secrets", json!(["whsec_test_secret"])).send().unwrap();
}

#[test]
fn one_right_signature_among_several_is_enough() {
    let old = "v1=99eb3a39a31efcedad68856a502cecf8fa86e5c1e409d5cab692958fab998194";
    stripe().with("stripe-signature", &STRIPE.replace(",v1=", &format!(",{old},v1="))).send().unwrap();
    standard_webhooks().with("webhook-signature", &format!("v1a,x v1,AAAA {STANDARD}")).send().unwrap();
}

#[test]
fn a_repetition_has_the_same_key_however_it_is_dressed() {
    assert_eq!(stripe().key().as_deref(), Some("evt_1"));
    assert_eq!(standard_webhooks().key().as_deref(), Some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
    assert_eq!(trello().key().as_deref(), Some("51f9424bcd6e040f3c002412"));
    // GitHub's delivery id is not signed: one who replays may write another.
    let first = github().key().unwrap();
    assert_eq!(github().with("x-github-delivery", "another").key().unwrap(), first);
    assert_eq!(
        github().with("x-hub-signature-256", &GITHUB.to_uppercase().replace("SHA", "sha")).key().unwrap(),
        first
    );
    assert!(!first.contains(&GITHUB["sha256=".len()..]), "the key is of no use to one who reads it");
    // A slash command has no event id: its signature, over a timestamp and a trigger id, is its name.
    assert!(slack().key().unwrap().starts_with("signature:"));
}

#[test]
fn without_an_id_nothing_is_a_repetition() {
    assert_eq!(general().key(), None);
    assert_eq!(open("application/json", "{}").key(), None);
}

#[test]
fn a_user_may_name_the_delivery_id() {
    let body = open("application/json", r#"{"id": 7, "deep": {"id": "x"}, "none": null}"#);
    let cases = [
        (json!({"pointer": "/id"}), Some("7")),
        (json!({"pointer": "/deep/id"}), Some("x")),
        (json!({"pointer": "/none"}), None),
        (json!({"pointer": "/missing"}), None),
        (json!({"header": "X-Delivery"}), Some("d-1")),
        (json!({"header": "x-missing"}), None),
    ];
    for (id, key) in cases {
        let request = body.clone().with("x-delivery", "d-1").data("/delivery_id", id.clone());
        assert_eq!(request.key().as_deref(), key, "{id}");
    }
    let long = "x".repeat(5000);
    let key = body.with("x-delivery", &long).data("/delivery_id", json!({"header": "x-delivery"})).key().unwrap();
    assert!(key.starts_with("sha256:") && key.len() < 100);
    assert!(general().data("/delivery_id", json!("signature")).key().unwrap().starts_with("signature:"));
}

#[test]
fn a_token_is_believed_in_its_place_alone() {
    let header = json!({"kind": "token", "token": "s3cret", "older_tokens": ["0ld"], "header": "Authorization", "prefix": "Bearer "});
    let by_header = request(header, &[], b"{}", 0);
    by_header.clone().with("authorization", "Bearer s3cret").send().unwrap();
    by_header.clone().with("authorization", "bearer s3cret").send().unwrap();
    by_header.clone().with("authorization", "Bearer 0ld").send().unwrap();
    by_header.clone().with("authorization", "Bearer s3cre").refused("is wrong");
    by_header.clone().with("authorization", "Bearer ").refused("");
    by_header.clone().with("authorization", "Basic s3cret").refused("lacks its prefix");
    by_header.clone().with("authorization", "é").refused("lacks its prefix");
    by_header.query("token=s3cret").refused("is missing");

    let by_query = request(json!({"kind": "token", "token": "a b&c", "query": "key"}), &[], b"{}", 0);
    let event = by_query.clone().query("key=a+b%26c&x=1").event();
    assert_eq!(event["query"], json!({"x": "1"}), "the token is no part of the event");
    by_query.clone().query("key=a").refused("is wrong");
    by_query.clone().query("key=a&key=a+b%26c").refused("given twice");
    by_query.query("").refused("is missing");
}

#[test]
fn a_refusal_never_quotes_a_secret() {
    for request in [github(), stripe(), slack(), trello(), general()] {
        let secret = request.data["verify"]["secret"].as_str().unwrap().to_owned();
        let Err(HookRefusal::Unauthorized(why)) = request.body("x").send() else { panic!("believed") };
        assert!(!why.contains(&secret), "{why}");
    }
}

#[test]
fn an_event_has_headers_without_credentials() {
    let event = github()
        .with("authorization", "Bearer x")
        .with("cookie", "a=b")
        .with("x-api-key", "k")
        .with("x-goog-channel-token", "t")
        .with("x-github-event", "push")
        .event();
    assert_eq!(
        event["headers"],
        json!({
            "content-type": "text/plain", "x-github-event": "push",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"
        })
    );
    let own = general().event();
    assert_eq!(
        own["headers"],
        json!({"x-id": "d-1", "x-at": "2026-11-20T09:00:00Z"}),
        "its own signature header is left out"
    );
    assert_eq!(own["query"], json!({"a": "1"}));
    assert_eq!(own["method"], "POST");
    assert_eq!(own["at"], "2026-11-20T09:00:00Z");
}

#[test]
fn repeated_headers_and_parameters_are_all_kept() {
    let mut request = open("text/plain", "x").query("a=1&b=2&a=3&a=");
    request.headers.extend([("X-Seen".into(), "one".into()), ("x-seen".into(), "two".into())]);
    let event = request.event();
    assert_eq!(event["headers"]["x-seen"], "one, two");
    assert_eq!(event["query"], json!({"a": ["1", "3", ""], "b": "2"}));
}

#[test]
fn the_body_is_read_by_its_content_type() {
    let cases: [(&str, &[u8], Value); 12] = [
        ("application/json", b"{\"a\": [1, null]}", json!({"a": [1, null]})),
        ("application/json", b"7", json!(7)),
        ("Application/Cloudevents+JSON; charset=utf-8", b"{\"a\": 1}", json!({"a": 1})),
        ("application/json", b"\xef\xbb\xbf{}", json!({})),
        ("application/json", b"{\"a\": \"x\\u0000y\"}", json!({"a": "x\0y"})),
        (
            "application/x-www-form-urlencoded",
            b"a=1&b=x+y%26&a=2&%ff=%ff",
            json!({"a": ["1", "2"], "b": "x y&", "\u{fffd}": "\u{fffd}"}),
        ),
        ("application/x-www-form-urlencoded", b"", json!({})),
        ("text/plain", b"{\"a\": 1}", json!("{\"a\": 1}")),
        ("text/plain", b"caf\xe9\0", json!("caf\u{fffd}\0")),
        ("application/octet-stream", b"", json!("")),
        ("", b"x", json!("x")),
        ("text/xml", "<é/>".as_bytes(), json!("<é/>")),
    ];
    for (content_type, body, expected) in cases {
        assert_eq!(open(content_type, body).event()["body"], expected, "{content_type}");
    }
    let untyped = |body: &str| request(json!({"kind": "none"}), &[], body.as_bytes(), 0).event()["body"].clone();
    assert_eq!(untyped(r#"{"a": 1}"#), json!({"a": 1}));
    assert_eq!(untyped("not json"), json!("not json"));
    assert_eq!(untyped(""), Value::Null);
}

#[test]
fn json_that_is_none_is_malformed() {
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 7] = [b"", b"{", b"{\"a\": 1} x", b"\xff\xfe", b"\"\xff\"", b"1e999", deep.as_bytes()];
    for body in bodies {
        let answer = open("application/json", body).send();
        assert!(matches!(answer, Err(HookRefusal::Malformed(_))), "{answer:?}");
    }
}

#[test]
fn a_body_is_believed_before_it_is_read() {
    github().with("content-type", "application/json").body("{").refused("does not match");
}

#[test]
fn what_the_schema_cannot_say_is_found_with_its_place() {
    let hmac = |more: Value| {
        let mut verify = json!({"kind": "hmac", "secret": "s", "header": "x-sign"});
        verify.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "verify": verify })
    };
    let cases = [
        (json!({"verify": {"kind": "none"}}), ""),
        (json!({"verify": {"kind": "none"}, "delivery_id": "signature"}), "/delivery_id"),
        (json!({"verify": {"kind": "none"}, "delivery_id": {"pointer": "id"}}), "/delivery_id/pointer"),
        (json!({"verify": {"kind": "none"}, "delivery_id": {"header": "x y"}}), "/delivery_id/header"),
        (json!({"verify": {"kind": "token", "token": "t"}}), "/verify"),
        (json!({"verify": {"kind": "token", "token": "t", "header": "a", "query": "b"}}), "/verify"),
        (json!({"verify": {"kind": "token", "token": "t", "query": "b", "prefix": "c"}}), "/verify/prefix"),
        (json!({"verify": {"kind": "token", "token": "", "query": "b"}}), "/verify/token"),
        (
            json!({"verify": {"kind": "token", "token": "t", "older_tokens": ["a", ""], "query": "b"}}),
            "/verify/older_tokens/1",
        ),
        (json!({"verify": {"kind": "github", "secret": ""}}), "/verify/secret"),
        (json!({"verify": {"kind": "github", "secret": "a", "older_secrets": ["b", ""]}}), "/verify/older_secrets/1"),
        (json!({"verify": {"kind": "standard_webhooks", "secret": "whsec_"}}), "/verify/secret"),
        (json!({"verify": {"kind": "standard_webhooks", "secret": "not base64!"}}), "/verify/secret"),
        (json!({"verify": {"kind": "stripe", "secret": "a", "tolerance": "0s"}}), "/verify/tolerance"),
        (json!({"verify": {"kind": "unknown"}}), ""),
        (hmac(json!({})), ""),
        (hmac(json!({"header": "x sign"})), "/verify/header"),
        (hmac(json!({"secret_encoding": "hex"})), "/verify/secret"),
        (hmac(json!({"separator": ""})), "/verify/separator"),
        (hmac(json!({"signed": ["url"]})), "/verify/signed"),
        (hmac(json!({"signed": ["body", {"header": ""}]})), "/verify/signed/1/header"),
        (hmac(json!({"signed": ["body", "timestamp"]})), "/verify/timestamp"),
        (hmac(json!({"timestamp": {"header": "x-at"}})), "/verify/signed"),
        (
            hmac(json!({"signed": ["timestamp", "body"], "timestamp": {"header": "x-at", "tolerance": "0s"}})),
            "/verify/timestamp/tolerance",
        ),
    ];
    for (data, pointer) in cases {
        let found = (SPEC.check)(&data);
        let pointers: Vec<&str> = found.iter().map(|i| i.pointer.as_str()).collect();
        let expected: &[&str] = match (pointer, data["verify"]["kind"].as_str()) {
            ("", Some("unknown")) => &[""],
            ("", _) => &[],
            _ => &[pointer],
        };
        assert_eq!(pointers, expected, "{data}");
    }
}

#[test]
fn the_schema_takes_every_kind_and_nothing_beside() {
    let validator = jsonschema::validator_for(&(SPEC.params)()).unwrap();
    let good = [github(), stripe(), slack(), trello(), standard_webhooks(), general(), open("text/plain", "")];
    for request in &good {
        let errors: Vec<_> = validator.iter_errors(&request.data).map(|e| e.to_string()).collect();
        assert_eq!(errors, [""; 0], "{}", request.data);
        assert!(!validator.is_valid(&request.clone().data("/verify/no_such_key", json!(1)).data), "{}", request.data);
    }
    let wrong = [
        json!({}),
        json!({"verify": {}}),
        json!({"verify": {"kind": "github"}}),
        json!({"verify": {"kind": "github", "secret": ""}}),
        json!({"verify": {"kind": "github", "secret": 7}}),
        json!({"verify": {"kind": "github", "secret": "s", "older_secrets": ["1", "2", "3", "4", "5"]}}),
        json!({"verify": {"kind": "stripe", "secret": "s", "tolerance": "soon"}}),
        json!({"verify": {"kind": "hmac", "secret": "s"}}),
        json!({"verify": {"kind": "hmac", "secret": "s", "header": "x", "algorithm": "md5"}}),
        json!({"verify": {"kind": "hmac", "secret": "s", "header": "x", "signed": []}}),
        json!({"verify": {"kind": "hmac", "secret": "s", "header": "x", "signed": ["head"]}}),
        json!({"verify": {"kind": "none"}, "delivery_id": {"header": "a", "pointer": "/b"}}),
    ];
    for data in wrong {
        assert!(!validator.is_valid(&data), "{data}");
    }
}

#[test]
fn the_defaults_that_the_schema_names_are_those_of_the_code() {
    // An AREA is stored with its defaults filled in.
    let schema = (SPEC.params)();
    let forms = schema["$defs"]["Verify"]["oneOf"].as_array().unwrap();
    let form = forms.iter().find(|form| form["properties"]["kind"]["const"] == "hmac").unwrap();
    let bare = json!({"kind": "hmac", "secret": "s", "header": "x-sign"});
    let mut filled = bare.clone();
    for (name, property) in form["properties"].as_object().unwrap() {
        if let Some(default) = property.get("default") {
            filled[name] = default.clone();
        }
    }
    assert_eq!(filled["algorithm"], "sha256");
    assert!(filled.get("older_secrets").is_none(), "an empty list of secrets would be sealed and shown as one");
    let signature = "37beaf650f70b40ec9706929c2e9d835cbd63729988f48781e6383a147215f07";
    for verify in [bare, filled] {
        request(verify, &[("x-sign", signature)], br#"{"a":1}"#, 0).send().unwrap();
    }
}

#[test]
fn slack_gets_its_challenge_back_and_nothing_is_recorded() {
    let body =
        r#"{"token":"t","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}"#;
    let signature = "v0=9815b856719f49294457425f6c73f1ccbe3172750a83b6066a7f04c0fdcabec4";
    let tried = || slack().with("content-type", "application/json").with("x-slack-signature", signature).body(body);
    let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P".to_owned();
    assert_eq!(tried().send(), Err(HookRefusal::Handshake(challenge)));
    tried().body(body.replace("3eZ", "4eZ")).refused("does not match");
}
