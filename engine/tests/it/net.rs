//! `engine::net::Http` against servers on loopback: what is sent, what is capped, what a failure says.

use std::io::Write;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::fault::Fault;
use engine::net::{Answer, Call, Cause, FAILURES_TO_OPEN, Http, NetConfig, Trust, parse_allow};
use engine::secret::Secret;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn http() -> Http {
    with(|_| {})
}

fn with(set: impl FnOnce(&mut NetConfig)) -> Http {
    let mut config = NetConfig { allow: parse_allow("127.0.0.0/8").unwrap(), ..NetConfig::default() };
    set(&mut config);
    Http::new(config).unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-11-06T08:49:00Z".parse().unwrap()
}

async fn get(http: &Http, url: &str) -> Result<Answer, Fault> {
    http.send(Trust::User, Call::get(url).unwrap(), now()).await
}

/// A server that answers every connection with these bytes and closes it; `None` never answers.
async fn raw(bytes: Option<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x?key=SECRET", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            match &bytes {
                Some(bytes) => drop(stream.write_all(bytes).await),
                None => silent.push(stream),
            }
        }
    });
    url
}

fn gzip_of(byte: u8, len: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![byte; len]).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_answer_comes_whole_with_its_headers_and_final_address() {
    let server = MockServer::start().await;
    let body = serde_json::json!({"a": "ä".repeat(100_000)});
    let hello = ResponseTemplate::new(200).set_body_json(&body).insert_header("etag", "\"1\"");
    Mock::given(path("/b")).respond_with(hello).mount(&server).await;
    let to = ResponseTemplate::new(302).insert_header("location", "/b?c=d");
    Mock::given(path("/a")).respond_with(to).mount(&server).await;
    let answer = get(&http(), &format!("{}/a", server.uri())).await.unwrap();
    assert_eq!(answer.json().unwrap(), body);
    assert_eq!(answer.header(http::header::ETAG), Some("\"1\""));
    assert_eq!(answer.url.as_str(), format!("{}/b?c=d", server.uri()));
    let seen = server.received_requests().await.unwrap();
    assert!(seen[0].headers["user-agent"].to_str().unwrap().starts_with("area-runner/"));
}

#[tokio::test]
async fn the_guard_refuses_before_sending_and_at_every_hop() {
    let server = MockServer::start().await;
    let inside = ResponseTemplate::new(302).insert_header("location", "http://169.254.169.254/latest");
    Mock::given(path("/meta")).respond_with(inside).mount(&server).await;
    let local = ResponseTemplate::new(302).insert_header("location", "http://localhost.:1/?key=SECRET");
    Mock::given(path("/local")).respond_with(local).mount(&server).await;
    let file = ResponseTemplate::new(302).insert_header("location", "file:///etc/passwd");
    Mock::given(path("/file")).respond_with(file).mount(&server).await;

    let closed = Http::new(NetConfig::default()).unwrap();
    let check = |result: Result<Answer, Fault>, want: &str| {
        let fault = result.unwrap_err();
        assert!(matches!(&fault, Fault::Rejected { .. }) && fault.why().contains(want), "{fault:?}");
        assert!(!fault.why().contains("SECRET"), "{fault:?}");
    };
    check(get(&closed, &server.uri()).await, "a loopback address");
    assert_eq!(server.received_requests().await.unwrap().len(), 0, "nothing was sent");
    let only_server = with(|config| config.allow = parse_allow("127.0.0.1").unwrap());
    check(get(&only_server, &format!("{}/meta", server.uri())).await, "metadata");
    check(get(&only_server, &format!("{}/file", server.uri())).await, "scheme `file`");
    check(get(&only_server, &format!("{}/local", server.uri())).await, "port 1 is not allowed");
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_origin() {
    let (first, second) = (MockServer::start().await, MockServer::start().await);
    let away = ResponseTemplate::new(307).insert_header("location", format!("{}/b", second.uri()));
    Mock::given(path("/a")).and(header_exists("authorization")).respond_with(away).mount(&first).await;
    Mock::given(path("/b")).respond_with(ResponseTemplate::new(200)).mount(&second).await;
    let call = || {
        let call = Call::get(&format!("{}/a", first.uri())).unwrap().bearer(&Secret::new("SECRET")).unwrap();
        call.header("X-Api-Key", "SECRET").unwrap().header("Accept", "text/x").unwrap()
    };
    let answer = http().send(Trust::User, call(), now()).await.unwrap();
    assert_eq!(answer.status, 200);
    let seen = &second.received_requests().await.unwrap()[0];
    assert!(!format!("{:?}", seen.headers).contains("SECRET"), "{:?}", seen.headers);
    assert_eq!(seen.headers["accept"], "text/x");

    let kept = http().send(Trust::Provider, call(), now()).await.unwrap();
    assert_eq!(kept.status, 307, "a provider's redirect to another origin is handed back");
    assert_eq!(second.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server = MockServer::start().await;
    let again = ResponseTemplate::new(302).insert_header("location", "/");
    Mock::given(method("GET")).respond_with(again).mount(&server).await;
    let fault = get(&with(|config| config.redirects = 3), &server.uri()).await.unwrap_err();
    assert!(matches!(&fault, Fault::Rejected { why } if why.contains("over 3 times")), "{fault:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 4);
}

#[tokio::test]
async fn an_answer_over_its_cap_is_refused_announced_chunked_or_compressed() {
    let server = MockServer::start().await;
    let mega = vec![b'x'; 1 << 20];
    Mock::given(path("/plain")).respond_with(ResponseTemplate::new(200).set_body_bytes(mega)).mount(&server).await;
    let bomb = gzip_of(0, 64 << 20);
    assert!(bomb.len() < 100_000, "a small answer");
    let bomb = ResponseTemplate::new(200).set_body_bytes(bomb).insert_header("content-encoding", "gzip");
    Mock::given(path("/bomb")).respond_with(bomb).mount(&server).await;
    let mut chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    (0..200).for_each(|_| chunked.extend([b"1000\r\n".as_slice(), &[b'y'; 4096], b"\r\n"].concat()));
    let http = with(|config| config.max_body_bytes = 100_000);
    for url in [format!("{}/plain", server.uri()), format!("{}/bomb", server.uri()), raw(Some(chunked)).await] {
        let failure = http.probe(Trust::User, Call::get(&url).unwrap(), now()).await.unwrap_err();
        assert_eq!(failure.cause, Cause::TooLarge, "{url}");
        assert!(matches!(failure.fault, Fault::Rejected { why } if why.contains("more than 100000 bytes")));
    }
    let fits = Call::get(&format!("{}/plain", server.uri())).unwrap().max_body(1 << 20);
    assert!(http.send(Trust::User, fits.clone(), now()).await.is_err(), "a call may lower the cap, not raise it");
    assert_eq!(http.send(Trust::Provider, fits, now()).await.unwrap().body.len(), 1 << 20, "but a provider's may");
}

#[tokio::test]
async fn who_sends_nothing_where_something_is_expected_says_so() {
    let server = MockServer::start().await;
    Mock::given(path("/")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    for (name, length) in
        [("PUT", Some("0")), ("POST", Some("0")), ("PATCH", Some("0")), ("GET", None), ("DELETE", None)]
    {
        let call = Call::new(name.parse().unwrap(), server.uri().parse().unwrap());
        http().send(Trust::Provider, call, now()).await.unwrap();
        let sent = server.received_requests().await.unwrap().pop().unwrap();
        assert_eq!(sent.headers.get("content-length").map(|value| value.to_str().unwrap()), length, "{name}");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    let server = MockServer::start().await;
    let zip = ResponseTemplate::new(200).set_body_bytes(gzip_of(b'a', 5000)).insert_header("content-encoding", "gzip");
    Mock::given(method("GET")).respond_with(zip).mount(&server).await;
    assert_eq!(get(&http(), &server.uri()).await.unwrap().body, vec![b'a'; 5000]);
}

#[tokio::test]
async fn what_the_network_does_is_passing_and_says_whether_it_may_have_been_done() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/x?key=SECRET", listener.local_addr().unwrap())
    };
    let broken_gzip = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello".to_vec();
    let table = [
        (refused, Cause::Connect, "connection refused"),
        ("http://no-such-name.invalid/x?key=SECRET".to_owned(), Cause::Connect, "no address is known"),
        (raw(None).await, Cause::Broken, "did not answer within"),
        (raw(Some(Vec::new())).await, Cause::Broken, "broke off"),
        (raw(Some(b"garbage\r\n\r\n".to_vec())).await, Cause::Broken, "broke off"),
        (raw(Some(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec())).await, Cause::Broken, "cut off"),
        (raw(Some(broken_gzip)).await, Cause::Broken, "cannot be decompressed"),
    ];
    let http = with(|config| config.timeout = Duration::from_millis(500));
    for (url, cause, want) in table {
        let failure = http.probe(Trust::User, Call::get(&url).unwrap(), now()).await.unwrap_err();
        let Fault::Later { maybe_done, why, not_before: None } = &failure.fault else { panic!("{failure:?}") };
        assert_eq!((failure.cause, *maybe_done), (cause, cause == Cause::Broken), "{failure:?}");
        assert!(why.contains(want) && !why.contains("SECRET") && why.contains("/x"), "{failure:?}");
    }
    let tls = raw(Some(b"not TLS at all".to_vec())).await.replace("http:", "https:");
    let failure = http.probe(Trust::User, Call::get(&tls).unwrap(), now()).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Connect, "{failure:?}");
}

#[tokio::test]
async fn a_dead_host_costs_no_connection_until_its_pause_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (http, url) = (http(), format!("http://{address}/"));
    for _ in 0..FAILURES_TO_OPEN {
        assert!(get(&http, &url).await.unwrap_err().why().contains("connection refused"));
    }
    let Fault::Later { not_before: Some(at), why, maybe_done: false } = get(&http, &url).await.unwrap_err() else {
        panic!("a held call is passing")
    };
    assert!(why.contains("next attempt waits") && at > now(), "{why}");

    let server = MockServer::builder().listener(std::net::TcpListener::bind(address).unwrap()).start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    assert!(get(&http, &url).await.is_err(), "still held");
    let health = http.probe(Trust::User, Call::get(&url).unwrap(), now()).await;
    assert_eq!(health.unwrap().status, 204, "a health check is not held, and closes the circuit");
    assert_eq!(get(&http, &url).await.unwrap().status, 204);
}

#[tokio::test]
async fn a_request_carries_its_method_headers_and_body() {
    let server = MockServer::start().await;
    Mock::given(method("PUT")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let url = format!("{}/p?q=1", server.uri()).parse().unwrap();
    let call = Call::new(Method::PUT, url).header("X-A", "ä").unwrap().json(&serde_json::json!({"b": 1}));
    http().send(Trust::User, call, now()).await.unwrap();
    let seen = &server.received_requests().await.unwrap()[0];
    assert_eq!((seen.url.query(), &*seen.body), (Some("q=1"), &b"{\"b\":1}"[..]));
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.headers["x-a"].as_bytes(), "ä".as_bytes());
}

#[test]
fn urls_are_judged_when_an_area_is_saved() {
    let closed = Http::new(NetConfig::default()).unwrap();
    let check = |url: &str, want: Result<(), &str>| match (closed.check_url_template(url), want) {
        (Ok(()), Ok(())) => {}
        (Err(why), Err(part)) if why.contains(part) => {}
        (got, _) => panic!("{url}: {got:?}"),
    };
    check("https://example.com/{{ event.id }}", Ok(()));
    check("https://{{ event.host }}/", Ok(()));
    check("http://0x7f.1/{{ event.id }}", Err("a loopback address"));
    check("gopher://example.com/{{ event.id }}", Err("scheme `gopher`"));
    assert!(http().check_url("http://127.0.0.1:8000/").is_ok());
    assert!(closed.check_url("http://{{ x }}/").is_err());
}
