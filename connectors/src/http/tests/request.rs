//! `http.request`.

use engine::fault::Fault;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::http::request::SPEC;
use crate::testing::{now, react, serve};

#[tokio::test]
async fn it_sends_what_is_said_under_the_runs_key() {
    let server = MockServer::start().await;
    let table = [
        (json!({"json": {"a": [1, null]}}), "POST", "application/json", "{\"a\":[1,null]}"),
        (json!({"json": null, "method": "PUT"}), "PUT", "application/json", "null"),
        (json!({"form": {"a": "1 2", "b": "ä"}}), "POST", "application/x-www-form-urlencoded", "a=1+2&b=%C3%A4"),
        (json!({"body": "hi", "method": "PATCH"}), "PATCH", "text/plain; charset=utf-8", "hi"),
        (json!({"body": "<a/>", "headers": {"Content-Type": "text/xml"}}), "POST", "text/xml", "<a/>"),
        (json!({"method": "DELETE"}), "DELETE", "", ""),
    ];
    for (mut data, method, kind, body) in table {
        serve(&server, ResponseTemplate::new(204)).await;
        data["url"] = json!(format!("{}/x?y=z", server.uri()));
        assert_eq!(react(&SPEC, data).await.unwrap()["status"], 204);
        let seen = &server.received_requests().await.unwrap()[0];
        let header = |name: &str| seen.headers.get(name).map_or("", |v| v.to_str().unwrap());
        assert_eq!((seen.method.as_str(), header("content-type"), &*seen.body), (method, kind, body.as_bytes()));
        assert_eq!((header("idempotency-key"), seen.url.query()), ("run-1", Some("y=z")));
    }
}

#[tokio::test]
async fn later_steps_see_status_headers_and_json_or_text() {
    let server = MockServer::start().await;
    let check = async |answer: ResponseTemplate, want: Value| {
        serve(&server, answer.insert_header("x-b", "c").insert_header("set-cookie", "SECRET")).await;
        let mut output = react(&SPEC, json!({"url": server.uri(), "method": "GET"})).await.unwrap();
        let headers = output.as_object_mut().unwrap().remove("headers").unwrap();
        assert_eq!((&headers["x-b"], headers.get("set-cookie")), (&json!("c"), None));
        assert_eq!(output, want);
    };
    check(ResponseTemplate::new(201).set_body_json(json!({"id": 7})), json!({"status": 201, "json": {"id": 7}})).await;
    check(ResponseTemplate::new(200).set_body_string("hi"), json!({"status": 200, "text": "hi"})).await;
    check(ResponseTemplate::new(200).set_body_string("[1]"), json!({"status": 200, "json": [1]})).await;
    check(ResponseTemplate::new(200).set_body_string("[not json"), json!({"status": 200, "text": "[not json"})).await;
    check(ResponseTemplate::new(204), json!({"status": 204, "text": ""})).await;
}

#[tokio::test]
async fn statuses_decide_unless_the_user_says_otherwise() {
    let server = MockServer::start().await;
    let check = async |status: u16, ok: Value, want: &str| {
        let answer = ResponseTemplate::new(status).set_body_string("{\"error\": \"key s3cr3t-key is bad\"}");
        serve(&server, answer.insert_header("retry-after", "60")).await;
        let mut data = json!({"url": server.uri(), "headers": {"Authorization": "Bearer s3cr3t-key"}});
        if !ok.is_null() {
            data["ok"] = ok;
        }
        let got = match react(&SPEC, data).await {
            Ok(output) => format!("done {}", output["status"]),
            Err(Fault::Later { not_before, maybe_done, why }) => {
                assert_eq!(not_before, Some(now() + chrono::TimeDelta::seconds(60)));
                assert!(why.contains("key [REDACTED] is bad") && !why.contains("s3cr3t"), "{why}");
                format!("later {maybe_done}")
            }
            Err(fault) => format!("rejected {}", fault.why().contains("`ok` does not list")),
        };
        assert_eq!(got, want, "{status}");
    };
    check(200, Value::Null, "done 200").await;
    check(503, Value::Null, "later false").await;
    check(500, Value::Null, "later true").await;
    check(404, json!(["2xx", 404]), "done 404").await;
    check(500, json!(["5xx"]), "done 500").await;
    check(200, json!([201]), "rejected true").await;
}

#[tokio::test]
async fn a_refusal_shows_how_the_answer_begins_and_hides_the_credentials() {
    let server = MockServer::start().await;
    serve(&server, ResponseTemplate::new(422).set_body_string("no `name`, token abcdefgh")).await;
    let data = json!({"url": server.uri(), "headers": {"X-Token": "abcdefgh"}});
    let fault = react(&SPEC, data).await.unwrap_err();
    let Fault::Rejected { why } = &fault else { panic!("{fault:?}") };
    assert!(why.contains("422") && why.contains("no `name`, token [REDACTED]"), "{why}");
}

#[test]
fn a_credential_belongs_to_one_origin_and_one_body_is_sent() {
    let check = |data: Value, want: &[&str]| {
        let wrong = (SPEC.check)(&data);
        assert_eq!(wrong.iter().map(|w| &*w.pointer).collect::<Vec<_>>(), want, "{data}: {wrong:?}");
    };
    let secret = json!({"Authorization": "Bearer x"});
    check(json!({"url": "https://a.example/{{ event.id }}", "headers": secret}), &[]);
    check(json!({"url": "https://{{ event.host }}/", "headers": {}}), &[]);
    check(json!({"url": "https://{{ event.host }}/", "headers": secret}), &["/url"]);
    check(json!({"url": "{{ event.url }}", "headers": secret}), &["/url"]);
    check(json!({"url": "https://a.example{{ event.rest }}", "headers": secret}), &["/url"]);
    check(json!({"url": "ftp://a.example/{{ event.id }}"}), &["/url"]);
    check(json!({"url": "https://a.example/", "json": 1, "body": "x"}), &["/body"]);
    check(json!({"url": "https://a.example/", "json": "{{ event }}", "ok": "{{ event.ok }}"}), &[]);
    check(json!({"url": "https://a.example/", "timeout": "1h"}), &["/timeout"]);
    check(json!({"url": "https://a.example/", "headers": {"content-length": "1"}}), &["/headers/content-length"]);
}
