//! `http.down` and `http.up`, on one feed.

use engine::fault::Fault;
use engine::port::{ActionSpec, Item, Verdict};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::http::{down, up};
use crate::testing::{Source, serve};

fn takes(spec: &ActionSpec, item: &Item) -> bool {
    (spec.select)(&Value::Null, &item.body, None) == Verdict::Take
}

#[tokio::test]
async fn an_address_that_dies_and_comes_back_is_told_to_both() {
    let server = MockServer::start().await;
    let data = json!({"url": server.uri()});
    assert_eq!((down::SPEC.feed_params)(&data), (up::SPEC.feed_params)(&data), "one poll for both");
    let mut source = Source::new(&down::SPEC, data);
    serve(&server, ResponseTemplate::new(200)).await;
    assert!(source.poll().await.unwrap().is_empty());
    serve(&server, ResponseTemplate::new(503)).await;
    assert!(source.poll().await.unwrap().is_empty(), "once is a blip");
    let told = source.poll().await.unwrap();
    assert!(takes(&down::SPEC, &told[0]) && !takes(&up::SPEC, &told[0]));
    assert_eq!((&told[0].body["status"], told.len()), (&json!(503), 1));
    assert!(source.poll().await.unwrap().is_empty(), "told once");
    serve(&server, ResponseTemplate::new(200)).await;
    let told = source.poll().await.unwrap();
    assert!(takes(&up::SPEC, &told[0]) && !takes(&down::SPEC, &told[0]));
}

#[tokio::test]
async fn no_connection_is_down_not_a_fault_however_often() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut source = Source::new(&down::SPEC, json!({"url": format!("http://{address}/"), "failures": 3}));
    let mut told = Vec::new();
    for _ in 0..8 {
        told.extend(source.poll().await.unwrap());
    }
    assert_eq!(told.len(), 1);
    assert!(told[0].body["why"].as_str().unwrap().contains("connection refused"));
    let server = MockServer::builder().listener(std::net::TcpListener::bind(address).unwrap()).start().await;
    serve(&server, ResponseTemplate::new(204)).await;
    assert!(takes(&up::SPEC, &source.poll().await.unwrap()[0]), "an open circuit does not hide that it is up");
}

#[tokio::test]
async fn which_statuses_are_up_is_the_users_word() {
    let server = MockServer::start().await;
    let mut source =
        Source::new(&down::SPEC, json!({"url": server.uri(), "ok": [401], "failures": 1, "method": "HEAD"}));
    for (status, told) in [(401, 0), (401, 0), (200, 1), (200, 0), (401, 1)] {
        serve(&server, ResponseTemplate::new(status)).await;
        assert_eq!(source.poll().await.unwrap().len(), told, "{status}");
        assert_eq!(server.received_requests().await.unwrap()[0].method.as_str(), "HEAD");
    }
}

#[tokio::test]
async fn what_the_guard_refuses_is_a_fault_and_not_down() {
    let mut source = Source::new(&down::SPEC, json!({"url": "http://10.0.0.1/"}));
    assert!(matches!(source.poll().await, Err(Fault::Rejected { .. })));
    let wrong = (down::SPEC.check)(&json!({"url": "https://a.example", "timeout": "5m"}));
    assert_eq!(wrong[0].pointer, "/timeout");
}
