//! `rss.new_entry` against servers on loopback.

use engine::fault::Fault;
use engine::port::Verdict;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::new_entry::SPEC;
use crate::testing::{Source, raw, serve};

fn rss(items: &str) -> ResponseTemplate {
    feed(&format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>T &amp; U</title><link>https://a.example/</link>{items}\
         </channel></rss>"
    ))
}

fn feed(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(text.as_bytes(), "application/xml")
}

fn item(id: u32) -> String {
    format!("<item><guid>g{id}</guid><title>t{id}</title><link>https://a.example/{id}</link></item>")
}

async fn source(server: &MockServer) -> Source {
    Source::new(&SPEC, json!({"url": format!("{}/feed?key=SECRET", server.uri())}))
}

/// The items of a feed whose baseline was empty.
async fn new_in(answer: ResponseTemplate) -> Vec<engine::port::Item> {
    let server = MockServer::start().await;
    let mut source = source(&server).await;
    serve(&server, rss("")).await;
    source.poll().await.unwrap();
    serve(&server, answer).await;
    source.poll().await.unwrap()
}

#[tokio::test]
async fn new_entries_come_oldest_first_and_once() {
    let server = MockServer::start().await;
    let mut source = source(&server).await;
    serve(&server, rss(&[item(2), item(1)].concat())).await;
    assert_eq!(source.keys().await, ["g1", "g2"]);
    assert_eq!(source.page().await.unwrap().cursor, None, "nothing changed, nothing moves");
    serve(&server, rss(&[item(4), item(3), item(2)].concat())).await;
    assert_eq!(source.keys().await, ["g3", "g4"]);
    serve(&server, rss(&[item(1), item(4), item(5)].concat())).await;
    assert_eq!(source.keys().await, ["g5"], "reordered, and one that came back");
    serve(&server, rss("")).await;
    assert_eq!(source.keys().await, [""; 0]);
    serve(&server, rss(&item(5))).await;
    assert_eq!(source.keys().await, [""; 0], "an empty feed forgets nothing");
}

#[tokio::test]
async fn entries_with_dates_are_ordered_by_them() {
    let dated =
        |id: u32, day: u32| format!("<item><guid>g{id}</guid><pubDate>{day:02} Nov 2026 08:49:37 GMT</pubDate></item>");
    let items = new_in(rss(&[dated(1, 3), dated(2, 5), dated(3, 4)].concat())).await;
    assert_eq!(items.iter().map(|i| &*i.key).collect::<Vec<_>>(), ["g1", "g3", "g2"]);
    assert_eq!(items[0].at.unwrap().to_rfc3339(), "2026-11-03T08:49:37+00:00");
}

#[tokio::test]
async fn every_format_gives_the_same_event() {
    let body = |items: &[engine::port::Item]| items[0].body.clone();
    let rss = body(
        &new_in(rss(
            "<item><guid isPermaLink=\"false\">1</guid><title>A &amp;amp; B</title><link>https://a.example/1</link>\
         <description>&lt;p&gt;What &lt;b&gt;is&lt;/b&gt; new.&lt;/p&gt;</description><category>c</category>\
         <pubDate>Fri, 06 Nov 2026 08:49:37 GMT</pubDate>\
         <enclosure url=\"https://a.example/1.mp3\" type=\"audio/mpeg\" length=\"5\"/></item>",
        ))
        .await,
    );
    let want = json!({
        "id": "1", "link": "https://a.example/1", "summary": "<p>What <b>is</b> new.</p>", "text": "What is new.",
        "categories": ["c"], "published": "2026-11-06T08:49:37Z",
        "enclosures": [{"url": "https://a.example/1.mp3", "type": "audio/mpeg", "length": 5}],
        "feed": {"title": "T & U", "link": "https://a.example/"},
    });
    for (name, value) in want.as_object().unwrap() {
        assert_eq!(&rss[name], value, "{name}");
    }
    let atom = body(&new_in(feed(
        "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>T</title><id>f</id><updated>2026-11-06T08:49:37Z</updated>\
         <entry><id>1</id><title type=\"html\">A &amp;lt; &lt;b&gt;B&lt;/b&gt;</title><updated>2026-11-06T08:49:37Z</updated>\
         <link rel=\"self\" href=\"https://a.example/self\"/><link href=\"/1\"/><author><name>Ann</name></author>\
         <content type=\"xhtml\"><div xmlns=\"http://www.w3.org/1999/xhtml\"><p>What <b>is</b> new.</p></div></content></entry></feed>",
    ))
    .await);
    assert_eq!(
        (&atom["title"], &atom["authors"], &atom["text"]),
        (&json!("A < B"), &json!(["Ann"]), &json!("What is new."))
    );
    assert!(atom["link"].as_str().unwrap().ends_with("/1") && atom["content"].as_str().unwrap().contains("<b>is</b>"));
    let text = json!({
        "version": "https://jsonfeed.org/version/1.1", "title": "T", "items": [{
            "id": "1", "url": "https://a.example/1", "title": "A", "content_html": "<p>What <b>is</b> new.</p>",
            "date_published": "2026-11-06T08:49:37Z", "tags": ["c"], "authors": [{"name": "Ann"}],
        }]
    });
    let json_feed = body(&new_in(feed(&text.to_string())).await);
    assert_eq!((&json_feed["text"], &json_feed["link"]), (&json!("What is new."), &json!("https://a.example/1")));
}

#[tokio::test]
async fn an_entry_without_an_id_is_known_by_its_link_and_then_by_what_it_says() {
    let items = new_in(rss(
        "<item><title>a</title></item><item><title>b</title><link>https://a.example/b</link></item><item><title>c</title></item>",
    ))
    .await;
    let keys: Vec<_> = items.iter().map(|i| &*i.key).collect();
    assert_eq!(keys[1], "https://a.example/b");
    assert!(keys[0].starts_with("sha256:") && keys[2].starts_with("sha256:") && keys[0] != keys[2], "{keys:?}");
}

#[tokio::test]
async fn entries_that_share_an_id_are_told_apart_by_their_links_and_none_is_told_twice() {
    let server = MockServer::start().await;
    let mut source = source(&server).await;
    let shared =
        |n: u32| format!("<item><guid>same</guid><title>t{n}</title><link>https://a.example/{n}</link></item>");
    serve(&server, rss(&shared(1))).await;
    assert_eq!(source.keys().await, ["same"]);
    serve(&server, rss(&[shared(3), shared(2), shared(1)].concat())).await;
    let items = source.poll().await.unwrap();
    assert_eq!(items.iter().map(|i| &i.body["title"]).collect::<Vec<_>>(), ["t2", "t3"]);
    assert_ne!(items[0].key, items[1].key);
    for again in [shared(3), shared(1), [shared(2), shared(3)].concat(), [shared(1), shared(1)].concat()] {
        serve(&server, rss(&again)).await;
        assert_eq!(source.keys().await, [""; 0], "{again}");
    }
}

#[tokio::test]
async fn a_keyword_selects_and_does_not_split_the_feed() {
    let (one, two) = (json!({"url": "https://a.example", "keyword": "x"}), json!({"url": "https://a.example"}));
    assert_eq!((SPEC.feed_params)(&one), (SPEC.feed_params)(&two));
    let check = |keyword: Value, item: Value, takes: bool| {
        let verdict = (SPEC.select)(&json!({"url": "", "keyword": keyword}), &item, None);
        assert_eq!(verdict == Verdict::Take, takes, "{keyword}: {verdict:?}");
    };
    check(json!("RELEASE"), json!({"title": "New release"}), true);
    check(json!("straße"), json!({"summary": "STRASSE, Straße"}), true);
    check(json!("x"), json!({"content": "<p>X</p>", "title": null}), true);
    check(json!("news"), json!({"title": "a", "categories": ["News"]}), true);
    check(json!("release"), json!({"title": "nothing", "link": "https://a.example/release"}), false);
    check(json!(" "), json!({}), true);
    check(Value::Null, json!({}), true);
}

#[tokio::test]
async fn odd_encodings_are_read() {
    let check = async |bytes: &[u8], kind: &str| {
        let items = new_in(ResponseTemplate::new(200).set_body_raw(bytes, kind)).await;
        assert_eq!(items[0].body["title"], "café", "{kind}");
    };
    let text = |declaration: &str, title: &[u8]| {
        let start = format!("{declaration}<rss version=\"2.0\"><channel><title>T</title><item><title>");
        [start.as_bytes(), title, b"</title></item></channel></rss>"].concat()
    };
    check(&text("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>", b"caf\xe9"), "text/xml").await;
    check(&text("<?xml version='1.0' encoding='windows-1252'?>", b"caf\xe9"), "application/rss+xml; charset=utf-8")
        .await;
    check(&text("<?xml version=\"1.0\"?>", b"caf\xe9"), "text/xml; charset=iso-8859-1").await;
    check(&text("", "café".as_bytes()), "text/xml; charset=utf-8").await;
    check(
        &[b"\xEF\xBB\xBF", &*text("<?xml version=\"1.0\" encoding=\"utf-8\"?>", "café".as_bytes())].concat(),
        "text/xml",
    )
    .await;
    check(&[b"\n\n ", &*text("", "café".as_bytes())].concat(), "text/html").await;
    let utf16: Vec<u8> = std::iter::once(0xFEFF)
        .chain(String::from_utf8(text("", "café".as_bytes())).unwrap().encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    check(&utf16, "text/xml").await;
}

#[tokio::test]
async fn zeroes_and_broken_utf8_become_the_replacement_character() {
    let items = new_in(ResponseTemplate::new(200).set_body_raw(
        &b"<rss version=\"2.0\"><channel><title>T</title><item><guid>1</guid><title>a\xffb</title></item></channel></rss>"[..],
        "text/xml",
    ))
    .await;
    assert_eq!(items[0].body["title"], "a\u{FFFD}b");
    let text = r#"{"version":"https://jsonfeed.org/version/1","title":"T","items":[{"id":"a\u0000","title":"x\u0000y","content_text":"z\u0000"}]}"#;
    let item = &new_in(feed(text)).await[0];
    assert!(!item.body.to_string().contains("\\u0000") && !item.key.contains('\0'), "{}", item.body);
}

#[tokio::test]
async fn what_is_no_feed_says_so_and_is_final_only_at_first() {
    let server = MockServer::start().await;
    let check = async |body: &[u8], part: &str| {
        serve(&server, ResponseTemplate::new(200).set_body_bytes(body)).await;
        let fault = source(&server).await.poll().await.unwrap_err();
        assert!(matches!(&fault, Fault::Rejected { why } if why.contains(part)), "{part}: {fault:?}");
        assert!(!fault.why().contains("SECRET"));
        let mut known = source(&server).await;
        known.cursor = Some(json!({"seen": ""}));
        assert!(matches!(known.poll().await.unwrap_err(), Fault::Later { .. }));
    };
    check(b"<!DOCTYPE html><html><body>hi</body></html>", "a web page").await;
    check(b"hello", "neither RSS nor Atom nor JSON Feed: beginning with `hello`").await;
    check(b"", "an empty body").await;
    check(b"{\"version\": \"x\"}", "").await;
    check(b"<rss version=\"2.0\"><channel><title>T</title><item><title>a</b></item></channel></rss>", "").await;
    check(b"<rss version=\"2.0\"><channel><title>T</title><item><guid>1</guid></item><item><gui", "").await;
    check(&[0, 1, 2, 3, 255], "").await;
}

#[tokio::test]
async fn statuses_and_broken_answers_are_faults_of_the_right_kind() {
    let server = MockServer::start().await;
    for (status, passing) in
        [(401, false), (403, false), (404, false), (410, false), (429, true), (500, true), (503, true)]
    {
        serve(&server, ResponseTemplate::new(status)).await;
        let fault = source(&server).await.poll().await.unwrap_err();
        assert_eq!(matches!(fault, Fault::Later { .. }), passing, "{status}: {fault:?}");
    }
    let cut = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n<rss version=\"2.0\">").await;
    let fault = Source::new(&SPEC, json!({"url": cut})).poll().await.unwrap_err();
    assert!(matches!(&fault, Fault::Later { why, .. } if why.contains("cut off")), "{fault:?}");
}

#[tokio::test]
async fn entities_that_multiply_are_not_expanded() {
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>\
                <rss version=\"2.0\"><channel><title>T</title><item><guid>1</guid><title>&b;</title></item></channel></rss>";
    let server = MockServer::start().await;
    serve(&server, feed(bomb)).await;
    match source(&server).await.poll().await {
        Ok(items) => assert!(items[0].body.to_string().len() < 1000),
        Err(fault) => assert!(matches!(fault, Fault::Rejected { .. }), "{fault:?}"),
    }
}

#[test]
fn a_document_that_is_cut_off_anywhere_is_no_feed() {
    let documents = [
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>T</title><item><guid>1</guid></item></channel></rss>",
        "<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>f</id><entry><id>1</id><title>x</title></entry></feed>",
        "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" xmlns=\"http://purl.org/rss/1.0/\"><channel>\
         <title>T</title></channel><item rdf:about=\"a\"><title>x</title><link>http://a.example/1</link></item></rdf:RDF>",
        "{\"version\":\"https://jsonfeed.org/version/1\",\"title\":\"T\",\"items\":[{\"id\":\"1\"}]}",
    ];
    for whole in documents {
        let read = |text: &str| {
            super::document::read(&engine::net::Answer {
                status: reqwest::StatusCode::OK,
                headers: Default::default(),
                body: text.to_owned().into(),
                url: "http://a.example/".parse().unwrap(),
            })
        };
        assert_eq!(read(whole).unwrap().entries.len(), 1, "{whole}");
        assert!(read(&format!("{whole}\n<!-- end -->\n")).is_ok() || whole.starts_with('{'));
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
    }
}
